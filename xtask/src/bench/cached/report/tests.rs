use super::super::visit::Means;
use super::*;

fn sample(reader_cpu: f64, mount_cpu: f64, reads: u64) -> Sample {
    let written = reads * 131_088;
    Sample {
        seconds: 1.0,
        reader_cpu,
        mount_cpu,
        reads: Some(reads),
        written,
        refaults: 0,
        tries: 1,
    }
}

/// A plain file that costs 1 s and then 2 s, beside a mount.
fn report(passed: [Sample; 2]) -> Report {
    let places = vec![
        (Kind::Plain, vec![sample(1.0, 0.0, 0), sample(2.0, 0.0, 0)]),
        (Kind::Passthrough, passed.to_vec()),
        (Kind::Masked, vec![sample(1.0, 2.0, 70), sample(2.0, 4.0, 80)]),
    ];
    let series = Series { subject: Subject::File(Means::Sequential), warm: true, places };
    Report::new(Machine::here(), "ext4".to_owned(), Some("no java".to_owned()), &[series])
}

#[test]
fn the_target_is_about_reader_and_mount_together_in_their_best_rounds() {
    let within = report([sample(1.5, 0.0, 0), sample(1.0, 0.09, 0)]);
    let beyond = report([sample(1.0, 0.2, 0), sample(1.0, 0.3, 0)]);
    let met = |report: &Report| report.targets.iter().map(|t| t.met).collect::<Vec<_>>();
    assert_eq!(met(&within), [true, true, true]);
    assert_eq!(met(&beyond), [false, true, true]);
}

#[test]
fn one_read_request_with_passthrough_is_one_too_many_and_masked_ones_are_none() {
    assert!(report([sample(1.0, 0.0, 0), sample(1.0, 0.0, 0)]).is_passed_through());
    assert!(!report([sample(1.0, 0.0, 0), sample(1.0, 0.0, 1)]).is_passed_through());
}

#[test]
fn a_daemon_that_does_not_tell_its_reads_is_known_by_what_it_writes() {
    let silent = |reads| Sample { reads: None, ..sample(1.0, 0.0, reads) };
    assert!(report([silent(0), silent(0)]).is_passed_through());
    assert!(!report([silent(0), silent(1)]).is_passed_through());
}

#[test]
fn what_was_not_measured_is_said() {
    let text = report([sample(1.0, 0.0, 0), sample(1.0, 0.0, 0)]).text();
    assert!(text.contains("not measured: no java"), "{text}");
    assert!(
        text.contains("| sequential read | warm | masked | 3000.0 / 4500.0 | 3.00 / 3.00 |"),
        "{text}"
    );
}
