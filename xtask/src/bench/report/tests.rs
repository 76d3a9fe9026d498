use super::*;
use crate::bench::case::cases;
use crate::bench::options::Options;
use crate::bench::proc::Cpu;
use lab::{Counters, Operation};

fn case(name: &str) -> Case {
    let words = ["--only", name].map(Into::into);
    cases(&Options::parse(words.into_iter()).unwrap().unwrap()).remove(0)
}

fn sample(case: &Case, seconds: f64, cpu: f64) -> Sample {
    let mut counters = Counters::default();
    let gets = Operation {
        requests: case.objects.gets(),
        bytes_out: case.objects.bytes(),
        ..Default::default()
    };
    counters.operations.insert("GetObject".to_owned(), gets);
    counters
        .operations
        .insert("ListObjectsV2".to_owned(), Operation { requests: 2, ..Default::default() });
    Sample {
        seconds,
        bytes: case.objects.bytes(),
        cpu: Cpu { user: cpu, system: 0.0 },
        reader_cpu: None,
        server_cpu: Cpu::default(),
        memory_peak: 100 << 20,
        counters,
    }
}

fn report(case: &Case, samples: Samples) -> Report {
    Report::new(Machine::here(), false, vec![(case.clone(), samples)])
}

#[test]
fn a_spread_has_the_middle_of_an_odd_and_of_an_even_number() {
    let odd = Spread::of([3.0, 1.0, 2.0]);
    assert_eq!(odd, Spread { min: 1.0, median: 2.0, max: 3.0 });
    assert!((Spread::of([4.0, 1.0, 2.0, 3.0]).median - 2.5).abs() < 1e-9);
    assert!(Spread::of([]).median.is_nan());
}

#[test]
fn ratios_are_taken_within_a_round() {
    let case = case("streams-1-plain");
    // The machine is twice as slow in the second round, for everybody.
    let samples = Samples {
        baseline: vec![sample(&case, 1.0, 1.0), sample(&case, 2.0, 2.0)],
        variants: vec![
            vec![sample(&case, 2.0, 1.5), sample(&case, 4.0, 3.0)],
            vec![sample(&case, 1.0, 1.0), sample(&case, 2.0, 2.0)],
        ],
    };
    let report = report(&case, samples);
    let row = &report.outcomes[0].rows[0];
    assert_eq!(row.rate_ratio, Spread { min: 0.5, median: 0.5, max: 0.5 });
    assert_eq!(row.cpu_ratio, Spread { min: 1.5, median: 1.5, max: 1.5 });
    assert_eq!(row.roomy_ratio, Some(Spread { min: 0.5, median: 0.5, max: 0.5 }));
    assert_eq!(report.outcomes[0].rows[1].roomy_ratio, None);
    let met: Vec<_> = report.targets.iter().map(|target| target.met).collect();
    assert_eq!(met, [false, false, true, false], "{:?}", report.targets);
}

#[test]
fn one_get_too_many_or_a_byte_twice_is_not_as_planned() {
    let case = case("small-16-0ms");
    let samples = |other: Sample| Samples {
        baseline: vec![sample(&case, 1.0, 1.0)],
        variants: vec![vec![sample(&case, 1.0, 1.0)], vec![other]],
    };
    let planned = report(&case, samples(sample(&case, 1.0, 1.0)));
    assert!(planned.is_as_planned());
    assert_eq!(planned.outcomes[0].rows[0].figures.other_requests, 2);
    let changed = |change: fn(&mut Operation)| {
        let mut sample = sample(&case, 1.0, 1.0);
        change(sample.counters.operations.get_mut("GetObject").unwrap());
        report(&case, samples(sample))
    };
    assert!(!changed(|gets| gets.requests += 1).is_as_planned());
    assert!(!changed(|gets| gets.bytes_out += 1).is_as_planned());
}
