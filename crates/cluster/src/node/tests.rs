use super::*;

fn node() -> Value {
    json!({
        "metadata": { "resourceVersion": "7", "labels": { "a": "b", "ready": "true" } },
        "spec": { "taints": [
            { "key": "not-ready", "effect": "NoExecute" },
            { "key": "gpu", "value": "yes", "effect": "NoSchedule" },
            { "key": "not-ready", "effect": "NoSchedule" },
        ] },
    })
}

fn label(value: &str) -> Option<Label> {
    Some(Label { key: "ready".into(), value: value.into() })
}

#[test]
fn all_taints_of_the_key_go_and_others_stay() {
    let marks = Marks { without_taint: Some("not-ready".into()), ..Marks::default() };
    let change = marks.change(&node()).unwrap();
    assert_eq!(change["metadata"], json!({ "resourceVersion": "7" }));
    let left = json!([{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }]);
    assert_eq!(change["spec"]["taints"], left);
}

#[test]
fn labels_are_set_changed_and_taken_away() {
    let set = Marks { with_label: label("no"), ..Marks::default() };
    assert_eq!(set.change(&node()).unwrap()["metadata"]["labels"], json!({ "ready": "no" }));
    assert!(set.change(&node()).unwrap().get("spec").is_none());
    let away = Marks { without_label: Some("ready".into()), ..Marks::default() };
    assert_eq!(away.change(&node()).unwrap()["metadata"]["labels"], json!({ "ready": null }));
}

#[test]
fn nothing_is_changed_that_is_so_already() {
    let mut bare = node();
    bare["spec"] = json!({});
    let marks = Marks {
        without_taint: Some("not-ready".into()),
        with_label: label("true"),
        without_label: Some("other".into()),
    };
    assert_eq!(marks.change(&bare), None);
    assert_eq!(Marks::default().change(&node()), None);
    assert_eq!(Marks::default().change(&json!("no node")), None);
}
