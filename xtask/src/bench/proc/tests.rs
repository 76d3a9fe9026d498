use super::*;

#[test]
fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
    let line = "77 (a) b (c) S 12 77 77 0 -1 4194560 1 2 3 4 250 150 30 20 20 0 4 0 99";
    let expected = Stat { parent: 12, cpu: Cpu { user: 2.8, system: 1.7 } };
    assert_eq!(Stat::parse(line), Some(expected));
}

#[test]
fn a_torn_line_is_no_process() {
    assert_eq!(Stat::parse("77 (a) S 12 77"), None);
    assert_eq!(Stat::parse(""), None);
}

#[test]
fn a_zombie_has_ended() {
    let line = "77 (a) Z 12 77 77 0 -1 4194560 1 2 3 4 250 150 30 20 20 0 4 0 99";
    assert_eq!(Stat::parse(line), None);
}

#[test]
fn peak_memory_is_read_in_bytes() {
    let status = "Name:\ta\nVmPeak:\t  999 kB\nVmHWM:\t    12 kB\nVmRSS:\t 8 kB\n";
    assert_eq!(parse_memory_peak(status), Some(12 << 10));
    assert_eq!(parse_memory_peak("Name:\tkthreadd\n"), None);
}

#[test]
fn a_family_has_its_children_and_not_its_siblings() {
    let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
    let ours = Family::of(std::process::id()).unwrap();
    let theirs = Family::of(child.id()).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(ours.members.contains(&child.id()));
    assert_eq!(theirs.members, [child.id()]);
    assert!(Family::of(child.id()).is_err());
    assert!(ours.memory_peak > 0);
}
