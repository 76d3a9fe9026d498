use proptest::prelude::*;

use super::*;

/// Places in this model: few, so that events meet.
const MODEL: [Place; 3] = [Place::Shard(0), Place::Shard(200), Place::Elsewhere];
const PROCESSES: usize = 3;

#[derive(Clone, Debug)]
enum Event {
    Reserve { process: usize, bytes: u64 },
    Write { process: usize, place: usize, bytes: u64 },
    Flush { process: usize },
    GiveBack { process: usize },
    UnlinkBegin { place: usize },
    Unlink,
    UnlinkEnd,
    Crash { process: usize },
    Fold { process: usize },
    Walk,
}

fn any_event() -> impl Strategy<Value = Event> {
    let process = 0..PROCESSES;
    let place = 0..MODEL.len();
    prop_oneof![
        1 => (process.clone(), 1..50u64).prop_map(|(process, bytes)| Event::Reserve { process, bytes }),
        1 => (process.clone(), place.clone(), 1..20u64)
            .prop_map(|(process, place, bytes)| Event::Write { process, place, bytes }),
        1 => process.clone().prop_map(|process| Event::Flush { process }),
        1 => process.clone().prop_map(|process| Event::GiveBack { process }),
        1 => place.prop_map(|place| Event::UnlinkBegin { place }),
        1 => Just(Event::Unlink),
        1 => Just(Event::UnlinkEnd),
        1 => process.clone().prop_map(|process| Event::Crash { process }),
        1 => process.prop_map(|process| Event::Fold { process }),
        4 => Just(Event::Walk),
    ]
}

#[derive(Default)]
struct Process {
    slab: u64,
    written: Written,
    dead: bool,
}

#[derive(Clone, Copy)]
enum Step {
    Look(u16),
    Measure(u16),
    Looked(u16, u64),
}

/// Disk, processes, one evictor and one walker, each of which may be interrupted between steps.
struct World {
    page: Page,
    disk: BTreeMap<Place, u64>,
    processes: Vec<Process>,
    unlinking: Option<(Place, Moment, Option<u64>)>,
    walk: Option<Step>,
}

impl World {
    fn new() -> Self {
        let processes = (0..PROCESSES).map(|_| Process::default()).collect();
        let page = Page::decode(&[0; FILE_LEN], Header::default()).0;
        Self { page, disk: BTreeMap::new(), processes, unlinking: None, walk: None }
    }

    fn put_slot(&mut self, process: usize) {
        let own = &self.processes[process];
        let held = own.slab + own.written.values().sum::<u64>();
        self.page.set_slot(process, held);
    }

    fn flush(&mut self, process: usize) {
        let written = std::mem::take(&mut self.processes[process].written);
        self.page.settle(&written);
        self.put_slot(process);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Reserve { process, bytes } => {
                self.happen(Event::Fold { process });
                self.processes[process].slab += bytes;
                self.put_slot(process);
            }
            Event::Write { process, place, bytes } => {
                let own = &mut self.processes[process];
                let bytes = bytes.min(own.slab);
                own.slab -= bytes;
                *own.written.entry(MODEL[place]).or_default() += bytes;
                *self.disk.entry(MODEL[place]).or_default() += bytes;
            }
            Event::Flush { process } | Event::GiveBack { process }
                if self.processes[process].dead => {}
            Event::Flush { process } => self.flush(process),
            Event::GiveBack { process } => {
                self.processes[process].slab = 0;
                self.flush(process);
            }
            Event::UnlinkBegin { place } => {
                let before = self.page.header.moment();
                self.unlinking.get_or_insert((MODEL[place], before, None));
            }
            Event::Unlink => self.unlink(),
            Event::UnlinkEnd => {
                if let Some((place, before, Some(bytes))) = self.unlinking.take() {
                    self.page.free(place, bytes, before);
                }
            }
            // Its slot stays as it was last written.
            Event::Crash { process } => {
                self.processes[process] = Process { dead: true, ..Process::default() };
            }
            Event::Fold { process } => {
                if std::mem::take(&mut self.processes[process].dead) {
                    self.page.fold(process);
                }
            }
            Event::Walk => self.walk(),
        }
    }

    /// Half of what is there, settled or not.
    fn unlink(&mut self) {
        let Some((place, _, bytes @ None)) = &mut self.unlinking else { return };
        let linked = self.disk.entry(*place).or_default();
        let gone = *linked / 2;
        *linked -= gone;
        *bytes = Some(gone);
    }

    fn walk(&mut self) {
        self.walk = match self.walk.take() {
            None => Some(Step::Look(self.page.header.begin_walk())),
            Some(Step::Look(place)) => self.page.header.look(place).then_some(Step::Measure(place)),
            Some(Step::Measure(place)) => {
                let found = |place| self.disk.get(&place).copied().unwrap_or(0);
                Some(Step::Looked(place, Place::of_index(place).map_or(0, found)))
            }
            Some(Step::Looked(place, found)) => {
                let more = self.page.header.looked(place, found, 1);
                more.then(|| Step::Look(self.next_place(place)))
            }
        };
    }

    /// Places outside the model are empty: the walk gets over them at once.
    fn next_place(&mut self, place: u16) -> u16 {
        let mut next = place + 1;
        while !MODEL.iter().any(|place| place.index() == next) {
            assert!(self.page.header.look(next) && self.page.header.looked(next, 0, 1));
            next += 1;
        }
        next
    }

    fn truth(&self) -> u64 {
        self.disk.values().sum()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]
    #[test]
    fn never_less_is_counted_than_is_used(events in proptest::collection::vec(any_event(), 1..200)) {
        let mut world = World::new();
        for event in events {
            world.happen(event.clone());
            let counted = world.page.used() - BASE;
            prop_assert!(counted >= world.truth(), "{event:?}: {counted} < {}", world.truth());
        }
        // When all is quiet, dead slots are folded and a walk has passed, the count is exact.
        world.happen(Event::UnlinkEnd);
        for process in 0..PROCESSES {
            world.happen(Event::Fold { process });
            world.happen(Event::GiveBack { process });
        }
        world.page.header.walk = None;
        world.walk = None;
        loop {
            world.walk();
            if world.walk.is_none() {
                break;
            }
        }
        prop_assert_eq!(world.page.used() - BASE, world.truth());
        prop_assert_eq!(world.page.header.doubt, 0);
    }
}

#[test]
fn a_dead_slab_counts_until_a_walk_has_looked() {
    let mut page = Page::decode(&[0; FILE_LEN], Header::default()).0;
    page.set_slot(5, 100);
    page.fold(5);
    assert_eq!((page.used() - BASE, page.header.doubt), (100, 100));
    let mut place = page.header.begin_walk();
    while page.header.look(place) && page.header.looked(place, 0, 9) {
        place += 1;
    }
    assert_eq!((page.used() - BASE, page.header.doubt, page.header.reconciled), (0, 0, 9));
}

#[test]
fn a_dead_walkers_walk_is_resumed_where_it_was() {
    let mut header = Header::default();
    header.begin_walk();
    for place in 0..10 {
        assert!(header.look(place) && header.looked(place, 7, 0));
    }
    header.look(10);
    assert_eq!(header.begin_walk(), 10);
    assert_eq!(header.walk.map(|walk| walk.found), Some(70));
}

#[test]
fn a_walk_that_is_not_under_way_any_more_changes_nothing() {
    let mut header = Header { settled: 40, ..Header::default() };
    header.begin_walk();
    header.look(0);
    header.walk = None;
    let before = header;
    assert!(!header.looked(0, 7, 0) && !header.look(0));
    assert_eq!(header, before);
}
