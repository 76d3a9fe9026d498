//! Random histories of a bucket and of those who read it, against what each may see.

use std::collections::BTreeMap;
use std::time::Duration;

use fs::{Errno, HandleId, ROOT, Ttl};
use object::Time;
use proptest::prelude::*;

use crate::mount::{Mount, THEN};

const KEYS: [&str; 5] = ["a", "a!", "d/x", "d/y", "e/f/g"];
/// What the test's own running takes, beyond the time it lets pass.
const SLACK: Duration = Duration::from_millis(100);

#[derive(Clone, Debug)]
enum Step {
    Put(usize),
    Delete(usize),
    Pass(u64),
    Cat(usize),
    Stat(usize),
    Open(usize),
    ReadOpen(usize),
    Close(usize),
    List,
    ListBelow,
    Forget,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let key = 0..KEYS.len();
    let step = prop_oneof![
        3 => key.clone().prop_map(Step::Put),
        1 => key.clone().prop_map(Step::Delete),
        2 => prop::sample::select(vec![30u64, 150, 1200, 9000, 12_000]).prop_map(Step::Pass),
        3 => key.clone().prop_map(Step::Cat),
        2 => key.clone().prop_map(Step::Stat),
        2 => key.prop_map(Step::Open),
        2 => (0usize..4).prop_map(Step::ReadOpen),
        1 => (0usize..4).prop_map(Step::Close),
        2 => Just(Step::List),
        1 => Just(Step::ListBelow),
        1 => Just(Step::Forget),
    ];
    prop::collection::vec(step, 1..50)
}

/// A file that is open, with the text that it gave, once it gave one.
struct OpenFile {
    handle: HandleId,
    key: usize,
    opened: Time,
    text: Option<String>,
}

/// How old an answer may be.
struct Ages {
    open: Duration,
    stat: Duration,
    list: Duration,
}

fn ages(ttl: Ttl) -> Ages {
    match ttl {
        // A look may be used by one open within 100 ms; a listing by stats for 1 s after.
        Ttl::Minimal => Ages {
            open: Duration::from_millis(100) + SLACK,
            stat: Duration::from_millis(1100) + SLACK,
            list: Duration::ZERO,
        },
        Ttl::For(time) => Ages { open: time, stat: time, list: time },
        Ttl::Indefinite => unreachable!("its answers may be of any age"),
    }
}

struct World {
    mount: Mount,
    ages: Ages,
    puts: u64,
    /// Each key's text from a time on; `None` where there was no object.
    history: [Vec<(Time, Option<String>)>; KEYS.len()],
    open: Vec<OpenFile>,
    looked_up: BTreeMap<u64, u64>,
}

impl World {
    fn new(ttl: Ttl) -> Self {
        let mount = Mount::new(ttl);
        let history = std::array::from_fn(|_| vec![(Time::default(), None)]);
        let (open, looked_up) = (Vec::new(), BTreeMap::new());
        Self { mount, ages: ages(ttl), puts: 0, history, open, looked_up }
    }

    fn change(&mut self, key: usize, text: Option<String>) {
        match &text {
            // Sizes differ from one put to the next, and all were modified at one time.
            Some(text) => self.mount.store.put(KEYS[key], text.as_bytes(), THEN),
            None => self.mount.store.delete(KEYS[key]),
        }
        self.history[key].push((self.mount.clock.now(), text));
    }

    /// The texts that `key` had at some time since `from`.
    fn since(&self, key: usize, from: Time) -> Vec<Option<String>> {
        let history = &self.history[key];
        let first = history.iter().rposition(|(at, _)| *at <= from).unwrap_or(0);
        history[first..].iter().map(|(_, text)| text.clone()).collect()
    }

    fn before(&self, age: Duration) -> Time {
        Time(self.mount.clock.now().0.saturating_sub(age))
    }

    fn may_see(&self, key: usize, from: Time, answer: &Result<String, Errno>) -> bool {
        let had = self.since(key, from);
        match answer {
            Ok(text) => had.contains(&Some(text.clone())),
            // Its directory may have been gone although it was put since: that is absence too.
            Err(Errno::NotFound) => had.contains(&None),
            Err(Errno::Stale) => had.len() > 1,
            Err(_) => false,
        }
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Put(key) => {
                self.puts += 1;
                let text = format!("{} {}", self.puts, "x".repeat(self.puts as usize % 7));
                self.change(key, Some(text));
            }
            Step::Delete(key) => self.change(key, None),
            Step::Pass(ms) => self.mount.pass(Duration::from_millis(ms)),
            Step::Cat(key) => {
                let from = self.before(self.ages.open);
                let answer = self.mount.cat(KEYS[key]).await;
                assert!(self.may_see(key, from, &answer), "{}: {answer:?}", KEYS[key]);
            }
            Step::Stat(key) => self.stat(key).await,
            Step::Open(key) => {
                let opened = self.before(self.ages.open);
                if let Ok((_, handle)) = self.mount.open(KEYS[key]).await {
                    self.open.push(OpenFile { handle, key, opened, text: None });
                }
            }
            Step::ReadOpen(index) => self.read_open(index).await,
            Step::Close(index) if index < self.open.len() => {
                self.mount.fs.release(self.open.swap_remove(index).handle);
            }
            Step::Close(_) => {}
            Step::List => self.list(ROOT, "").await,
            Step::ListBelow => {
                if let Ok(entry) = self.mount.walk("d").await {
                    self.list(entry.node, "d/").await;
                }
            }
            Step::Forget => {
                for (node, count) in std::mem::take(&mut self.looked_up) {
                    self.mount.fs.forget(node, count);
                }
            }
        }
    }

    async fn stat(&mut self, key: usize) {
        let from = self.before(self.ages.stat);
        let answer = self.mount.walk(KEYS[key]).await;
        if let Ok(entry) = &answer {
            *self.looked_up.entry(entry.node).or_default() += 1;
        }
        let had = self.since(key, from);
        let fits = match &answer {
            Ok(entry) => had.iter().flatten().any(|text| text.len() as u64 == entry.attr.size),
            Err(Errno::NotFound) => had.contains(&None),
            Err(_) => false,
        };
        assert!(fits, "{}: {answer:?} of {had:?}", KEYS[key]);
    }

    /// A handle gives one version or none, whatever happens to its name.
    async fn read_open(&mut self, index: usize) {
        let Some(open) = self.open.get(index) else { return };
        let answer = self.mount.read(open.handle).await;
        let had = self.since(open.key, open.opened);
        match (&answer, &open.text) {
            (Ok(text), Some(before)) => assert_eq!(text, before),
            (Ok(text), None) => assert!(had.contains(&Some(text.clone())), "{text} of {had:?}"),
            (Err(error), _) => assert!(*error == Errno::Stale && had.len() > 1, "{error:?}"),
        }
        if let (Ok(text), Some(open)) = (answer, self.open.get_mut(index)) {
            open.text = Some(text);
        }
    }

    async fn list(&self, directory: fs::NodeId, prefix: &str) {
        let from = self.before(self.ages.list);
        let handle = self.mount.fs.opendir(directory).await.unwrap();
        let shown = self.mount.drain(handle, 0, 3, true).await.unwrap();
        self.mount.fs.releasedir(handle);
        let shown = crate::mount::texts(&shown[2..]);
        assert!(shown.is_sorted_by(|a, b| a < b), "{shown:?}");
        let mut names: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (number, key) in KEYS.iter().enumerate() {
            if let Some(rest) = key.strip_prefix(prefix) {
                let name = rest.split('/').next().unwrap();
                names.entry(name).or_default().push(number);
            }
        }
        for (name, keys) in names {
            let always = keys.iter().any(|key| !self.since(*key, from).contains(&None));
            let ever = keys.iter().any(|key| self.since(*key, from).iter().any(Option::is_some));
            let is_shown = shown.iter().any(|shown| shown == name);
            assert!(is_shown || !always, "{name} is missing in {shown:?}");
            assert!(!is_shown || ever, "{name} is too much in {shown:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn every_answer_is_of_an_age_that_the_mode_allows(
        steps in steps(),
        minimal in any::<bool>(),
    ) {
        let ttl = if minimal { Ttl::Minimal } else { Ttl::For(Duration::from_secs(10)) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new(ttl);
            for step in steps {
                world.run(step).await;
            }
        });
    }
}
