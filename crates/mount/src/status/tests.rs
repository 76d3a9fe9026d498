use super::*;

fn report(state: State, told: Option<Value>) -> Report {
    let told = told.and_then(|told| told.as_object().cloned());
    Report { directory: "/mnt/s3".into(), state, told }
}

#[test]
fn a_serving_mount_says_what_it_shows_and_what_it_did() {
    let told = json!({"bucket": "jars", "prefix": "a/", "cache": "/c", "summary": ["one", "two"]});
    let report = report(State::Serving, Some(told));
    assert_eq!(report.text(), "/mnt/s3: serving s3://jars/a/, cache /c\n  one\n  two\n");
    assert_eq!(report.json()["state"], "serving");
    assert!(report.json().get("summary").is_none() && report.json().get("trouble").is_none());
}

#[test]
fn whatever_does_not_serve_says_why_in_one_line() {
    let states = [State::Dead, State::Hung, State::NotMounted, State::Unknown("no".into())];
    for state in states {
        let report = report(state, None);
        assert_eq!(report.text().lines().count(), 1, "{}", report.text());
        assert!(report.json()["trouble"].is_string());
    }
}
