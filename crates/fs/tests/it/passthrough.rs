//! Files that the kernel reads by itself, against a model of the kernel's rules.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fs::{
    BackingId, Backings, BadRecord, Errno, HandleId, NodeId, OpenMode, OpenOptions, Opened, ROOT,
    Record, Ttl,
};
use proptest::prelude::*;

use crate::mount::{MINUTE, Mount, config, over};

const CONTENT: &str = "the whole object";
/// How long a name rests after an ESTALE.
const PAUSE: u64 = 60;

/// The kernel's registered files.
#[derive(Default)]
struct Registry {
    state: Mutex<(BackingId, BTreeSet<BackingId>)>,
    refuses: AtomicBool,
    off: AtomicBool,
}

impl Registry {
    fn registered(&self) -> BTreeSet<BackingId> {
        self.state.lock().unwrap().1.clone()
    }
}

impl Backings for Registry {
    fn available(&self) -> bool {
        !self.off.load(Ordering::Relaxed)
    }

    fn register(&self, _file: &File) -> Option<BackingId> {
        if self.refuses.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock().unwrap();
        state.0 += 1;
        let id = state.0;
        state.1.insert(id);
        Some(id)
    }

    fn give_up(&self, id: BackingId) {
        assert!(self.state.lock().unwrap().1.remove(&id), "{id} is not registered");
    }
}

/// A local file of these bytes.
fn local(text: &str) -> Arc<File> {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    Arc::new(file)
}

/// A mount with one object, and the files that its kernel reads by itself.
struct World {
    mount: Mount,
    registry: Arc<Registry>,
}

impl World {
    fn new(ttl: Ttl) -> Self {
        let mount = Mount::new(ttl);
        mount.put("a", CONTENT);
        let registry = Arc::new(Registry::default());
        mount.fs.pass_through(registry.clone());
        Self { mount, registry }
    }

    fn complete(&self) {
        self.mount.store.set_backing("a", Some(local(CONTENT)));
    }

    fn evict(&self) {
        self.mount.store.set_backing("a", None);
    }

    async fn open(&self, node: NodeId) -> Result<Opened, Errno> {
        self.mount.fs.open(node, OpenOptions::default()).await
    }

    async fn find(&self) -> NodeId {
        self.mount.find(ROOT, "a").await.unwrap().node
    }

    /// A daemon in the place of this one, on the same kernel connection.
    fn succeed(&mut self, ttl: Ttl) {
        let records = self.mount.fs.records();
        let fs = over(self.mount.store.clone(), &self.mount.clock, config(ttl));
        fs.restore(records).unwrap();
        fs.pass_through(self.registry.clone());
        self.mount.fs = fs;
    }
}

fn id(opened: &Opened) -> BackingId {
    match opened.mode {
        OpenMode::Backed { id, direct: false } => id,
        other => panic!("{other:?}"),
    }
}

const CACHED: OpenMode = OpenMode::Cached { keep: true };

#[tokio::test]
async fn where_the_kernel_reads_nothing_by_itself_the_store_is_told_of_each_open() {
    let world = World::new(MINUTE);
    let node = world.find().await;
    world.open(node).await.unwrap();
    assert_eq!(world.mount.store.take_counts().opened, 0);
    world.registry.off.store(true, Ordering::Relaxed);
    for _ in 0..2 {
        world.open(node).await.unwrap();
    }
    assert_eq!(world.mount.store.take_counts().opened, 2);
}

#[tokio::test]
async fn the_open_after_an_object_is_complete_is_passed_through_and_costs_nothing() {
    let world = World::new(MINUTE);
    let node = world.find().await;
    let first = world.open(node).await.unwrap();
    assert_eq!(first.mode, CACHED);
    world.mount.fs.release(first.handle);
    world.complete();
    world.mount.asked();
    let second = world.open(node).await.unwrap();
    let third = world.open(node).await.unwrap();
    assert_eq!(id(&second), id(&third));
    world.mount.fs.release(second.handle);
    assert_eq!(world.registry.registered(), [id(&third)].into());
    // What is open stays open on the file that was evicted, and so does what joins it.
    world.evict();
    let fourth = world.open(node).await.unwrap();
    assert_eq!(id(&fourth), id(&third));
    for opened in [&third, &fourth, &fourth] {
        world.mount.fs.release(opened.handle);
    }
    assert!(world.registry.registered().is_empty());
    assert_eq!(world.open(node).await.unwrap().mode, CACHED);
    assert_eq!(world.mount.asked(), (0, 0, 0));
}

#[tokio::test]
async fn under_an_old_handle_a_name_goes_on_to_one_new_node() {
    for ttl in [MINUTE, Ttl::Minimal] {
        let world = World::new(ttl);
        let (old, handle) = world.mount.open("a").await.unwrap();
        let ino = world.mount.fs.getattr(old, None).await.unwrap().0.ino;
        world.complete();
        assert_eq!(world.open(old).await.unwrap_err(), Errno::Stale);
        world.mount.asked();
        let new = world.mount.find(ROOT, "a").await.unwrap();
        assert!(new.node != old && new.attr.ino == ino);
        let passed = world.open(new.node).await.unwrap();
        id(&passed);
        assert_eq!(world.mount.asked(), (0, 0, 0), "{ttl:?}");
        // A descriptor opened anew through /proc comes back with the old node.
        assert_eq!(world.open(old).await.unwrap().mode, CACHED);
        assert_eq!(world.mount.read(handle).await.unwrap(), CONTENT);
        assert_eq!(world.mount.fs.getattr(old, None).await.unwrap().0, new.attr);
        assert_eq!(world.find().await, new.node);
    }
}

#[tokio::test]
async fn an_o_direct_open_is_served_here_and_takes_no_turn_from_passthrough() {
    let world = World::new(MINUTE);
    let node = world.find().await;
    world.complete();
    let direct = OpenOptions { direct: true, ..OpenOptions::default() };
    let first = world.mount.fs.open(node, direct).await.unwrap();
    let OpenMode::Backed { id: backing, direct: true } = first.mode else { panic!("{first:?}") };
    assert_eq!(world.mount.read(first.handle).await.unwrap(), CONTENT);
    assert_eq!(id(&world.open(node).await.unwrap()), backing);
    // Without a file it is as it was, and a mapping of it could be in the way of one.
    let world = World::new(MINUTE);
    let node = world.find().await;
    assert_eq!(world.mount.fs.open(node, direct).await.unwrap().mode, OpenMode::Direct);
    world.complete();
    assert_eq!(world.mount.fs.open(node, direct).await.unwrap().mode, OpenMode::Direct);
    assert_eq!(world.open(node).await.unwrap_err(), Errno::Stale);
}

#[tokio::test]
async fn an_open_for_both_is_neither_on_a_local_file_nor_in_the_page_cache() {
    let both = OpenOptions { read: true, write: true, ..OpenOptions::default() };
    let world = World::new(MINUTE);
    let node = world.find().await;
    world.complete();
    let alone = world.mount.fs.open(node, both).await.unwrap();
    assert_eq!((alone.mode, alone.written), (OpenMode::Direct, false));
    world.mount.fs.release(alone.handle);
    assert!(world.registry.registered().is_empty());
    // Beside a handle on the file there is no other mode: the name goes on to a node without one.
    for options in [both, OpenOptions { direct: true, ..both }] {
        let node = world.find().await;
        let reading = world.open(node).await.unwrap();
        id(&reading);
        assert_eq!(world.mount.fs.open(node, options).await.unwrap_err(), Errno::Stale);
        let other = world.find().await;
        assert_ne!(other, node);
        let beside = world.mount.fs.open(other, options).await.unwrap();
        assert_eq!(beside.mode, OpenMode::Direct);
        assert_eq!(world.mount.read(beside.handle).await.unwrap(), CONTENT);
        // Whoever comes to the old node finds the same one.
        assert_eq!(world.mount.fs.open(node, options).await.unwrap_err(), Errno::Stale);
        assert_eq!(world.find().await, other);
        world.mount.fs.release(beside.handle);
    }
    // Where no name is looked up again, it is refused.
    let below = OpenOptions { no_atime: true, ..OpenOptions::default() };
    let node = world.find().await;
    world.mount.fs.open(node, below).await.unwrap();
    assert_eq!(world.mount.fs.open(node, both).await.unwrap_err(), Errno::NotPermitted);
}

#[tokio::test]
async fn below_an_overlayfs_which_looks_no_name_up_again_names_stay() {
    let world = World::new(MINUTE);
    let node = world.find().await;
    let below = OpenOptions { no_atime: true, ..OpenOptions::default() };
    let old = world.mount.fs.open(node, below).await.unwrap();
    world.complete();
    assert_eq!(world.mount.fs.open(node, below).await.unwrap().mode, CACHED);
    assert_eq!(world.open(node).await.unwrap().mode, CACHED);
    assert_eq!(world.find().await, node);
    assert_eq!(world.mount.read(old.handle).await.unwrap(), CONTENT);
}

#[tokio::test]
async fn a_kernel_that_takes_no_file_is_answered_as_before_and_no_name_moves() {
    let world = World::new(MINUTE);
    world.complete();
    let node = world.find().await;
    world.registry.refuses.store(true, Ordering::Relaxed);
    assert_eq!(world.open(node).await.unwrap().mode, CACHED);
    world.registry.off.store(true, Ordering::Relaxed);
    assert_eq!(world.open(node).await.unwrap().mode, CACHED);
    let silent = Mount::new(MINUTE);
    silent.put("a", CONTENT);
    silent.store.set_backing("a", Some(local(CONTENT)));
    let node = silent.walk("a").await.unwrap().node;
    assert_eq!(silent.fs.open(node, OpenOptions::default()).await.unwrap().mode, CACHED);
}

#[tokio::test]
async fn a_file_of_another_size_or_of_another_version_is_never_passed_through() {
    let world = World::new(Ttl::Minimal);
    world.mount.store.set_backing("a", Some(local("the whole")));
    let node = world.find().await;
    assert_eq!(world.open(node).await.unwrap().mode, CACHED);
    world.complete();
    world.mount.put("a", "another version");
    world.mount.pass(Duration::from_secs(1));
    let (_, handle) = world.mount.open("a").await.unwrap();
    assert!(world.registry.registered().is_empty());
    assert_eq!(world.mount.read(handle).await.unwrap(), "another version");
}

#[tokio::test]
async fn what_failed_on_one_node_of_a_version_is_known_of_the_other() {
    let world = World::new(MINUTE);
    let (old, handle) = world.mount.open("a").await.unwrap();
    world.complete();
    assert_eq!(world.open(old).await.unwrap_err(), Errno::Stale);
    world.mount.put("a", "overwritten");
    assert_eq!(world.mount.read(handle).await.unwrap_err(), Errno::Stale);
    assert_eq!(world.mount.cat("a").await.unwrap(), "overwritten");
}

#[tokio::test]
async fn a_successor_opens_on_the_same_number() {
    let mut world = World::new(MINUTE);
    world.complete();
    let node = world.find().await;
    let first = world.open(node).await.unwrap();
    world.succeed(MINUTE);
    world.evict();
    let second = world.open(node).await.unwrap();
    assert_eq!(id(&first), id(&second));
    assert!(second.handle > first.handle);
    world.mount.fs.release(first.handle);
    assert_eq!(world.registry.registered(), [id(&first)].into());
    world.mount.fs.release(second.handle);
    assert!(world.registry.registered().is_empty());
}

#[tokio::test]
async fn handles_that_cannot_have_been_open_together_are_refused() {
    let world = World::new(MINUTE);
    world.complete();
    let node = world.find().await;
    let handle = world.open(node).await.unwrap().handle;
    let records = world.mount.fs.records();
    let other_mode = |mode| {
        let mut records = records.clone();
        records.push(Record::File { handle: handle + 1, node, mode });
        over(world.mount.store.clone(), &world.mount.clock, config(MINUTE)).restore(records)
    };
    for mode in [CACHED, OpenMode::Direct, OpenMode::Backed { id: 77, direct: false }] {
        assert_eq!(other_mode(mode), Err(BadRecord::Handle(handle + 1)));
    }
    assert_eq!(other_mode(OpenMode::Backed { id: 1, direct: true }), Ok(()));
}

/// The kernel's side of a node.
#[derive(Default)]
struct Inode {
    paged: u32,
    direct: u32,
    backed: Option<(BackingId, u32)>,
}

impl Inode {
    /// What `fuse_file_io_open` allows. EIO otherwise, which is what must not happen.
    fn open(&mut self, mode: OpenMode) {
        match mode {
            OpenMode::Backed { id, .. } => {
                assert_eq!(self.paged, 0, "EIO: opened on a file while it is paged");
                let (open, handles) = self.backed.get_or_insert((id, 0));
                assert_eq!(*open, id, "EIO: opened on a file while it is on another");
                *handles += 1;
            }
            OpenMode::Cached { .. } | OpenMode::Direct => {
                assert!(self.backed.is_none(), "EIO: opened for pages while it is on a file");
                let count =
                    if mode == OpenMode::Direct { &mut self.direct } else { &mut self.paged };
                *count += 1;
            }
        }
    }

    /// A shared mapping of an O_DIRECT handle is paged, as long as the handle is.
    fn map_direct(&mut self) {
        assert!(self.backed.is_none(), "ENODEV: mapped while it is on a file");
        self.direct -= 1;
        self.paged += 1;
    }

    fn close(&mut self, mode: OpenMode, mapped: bool) {
        match (mode, &mut self.backed) {
            (OpenMode::Direct, _) if !mapped => self.direct -= 1,
            (OpenMode::Backed { .. }, Some((_, handles))) => {
                *handles -= 1;
                self.backed.take_if(|(_, handles)| *handles == 0);
            }
            (OpenMode::Backed { .. }, None) => panic!("closed twice"),
            _ => self.paged -= 1,
        }
    }
}

/// Where a process is with its one file.
#[derive(Clone, Copy, Debug)]
enum Process {
    Idle,
    /// open(2) is about to send OPEN, for the second time after an ESTALE.
    Opening {
        node: NodeId,
        direct: bool,
        again: bool,
    },
    /// open(2) is about to look the name up because of an ESTALE.
    Stale {
        direct: bool,
    },
    Open {
        node: NodeId,
        opened: (HandleId, OpenMode),
        mapped: bool,
    },
    /// Closed and unmapped, but RELEASE is still on its way.
    Closed(HandleId),
}

#[derive(Clone, Debug)]
enum Step {
    /// One step of a process: towards an open file, or away from it.
    Run(usize),
    RunDirect(usize),
    Map(usize),
    Complete,
    Evict,
    Refuse(bool),
    Pass(u64),
    Succeed,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let process = 0usize..4;
    let step = prop_oneof![
        16 => process.clone().prop_map(Step::Run),
        4 => process.clone().prop_map(Step::RunDirect),
        2 => process.prop_map(Step::Map),
        3 => Just(Step::Complete),
        2 => Just(Step::Evict),
        1 => any::<bool>().prop_map(Step::Refuse),
        2 => prop::sample::select(vec![20u64, 500, 15_000, 61_000]).prop_map(Step::Pass),
        1 => Just(Step::Succeed),
    ];
    prop::collection::vec(step, 1..150)
}

struct Kernel {
    world: World,
    ttl: Ttl,
    inodes: HashMap<NodeId, Inode>,
    /// What the kernel takes the name for: however old that is.
    dentry: Option<NodeId>,
    processes: [Process; 4],
    seconds: f64,
    successions: u32,
}

impl Kernel {
    fn new(ttl: Ttl) -> Self {
        Self {
            world: World::new(ttl),
            ttl,
            inodes: HashMap::new(),
            dentry: None,
            processes: [Process::Idle; 4],
            seconds: 0.0,
            successions: 0,
        }
    }

    async fn look_up(&mut self) -> NodeId {
        let node = self.world.find().await;
        self.inodes.entry(node).or_default();
        self.dentry = Some(node);
        node
    }

    async fn run(&mut self, process: usize, direct: bool) {
        let next = match self.processes[process] {
            Process::Idle => {
                let node = match self.dentry {
                    Some(node) => node,
                    None => self.look_up().await,
                };
                Process::Opening { node, direct, again: false }
            }
            Process::Stale { direct } => {
                Process::Opening { node: self.look_up().await, direct, again: true }
            }
            Process::Opening { node, direct, again } => self.send_open(node, direct, again).await,
            Process::Open { node, opened: (handle, mode), mapped } => {
                self.inodes.entry(node).or_default().close(mode, mapped);
                Process::Closed(handle)
            }
            Process::Closed(handle) => {
                self.world.mount.fs.release(handle);
                Process::Idle
            }
        };
        self.processes[process] = next;
    }

    async fn send_open(&mut self, node: NodeId, direct: bool, again: bool) -> Process {
        let options = OpenOptions { direct, ..OpenOptions::default() };
        match self.world.mount.fs.open(node, options).await {
            Ok(Opened { handle, mode, .. }) => {
                self.inodes.entry(node).or_default().open(mode);
                Process::Open { node, opened: (handle, mode), mapped: false }
            }
            Err(Errno::Stale) => {
                assert!(!again, "ESTALE twice: the process sees it");
                Process::Stale { direct }
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn map(&mut self, process: usize) {
        if let Process::Open { node, opened: (_, OpenMode::Direct), mapped } =
            &mut self.processes[process]
            && !*mapped
        {
            *mapped = true;
            self.inodes.entry(*node).or_default().map_direct();
        }
    }

    fn nobody_comes_again(&self) -> bool {
        let again =
            |p: &Process| matches!(p, Process::Stale { .. } | Process::Opening { again: true, .. });
        !self.processes.iter().any(again)
    }

    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Run(process) => self.run(process, false).await,
            Step::RunDirect(process) => self.run(process, true).await,
            Step::Map(process) => self.map(process),
            Step::Complete => self.world.complete(),
            Step::Evict => self.world.evict(),
            Step::Refuse(refuse) => self.world.registry.refuses.store(refuse, Ordering::Relaxed),
            // An open that was sent on comes again within the minute, and to the same daemon.
            Step::Pass(ms) if ms < 100 || self.nobody_comes_again() => {
                self.world.mount.pass(Duration::from_millis(ms));
                self.seconds += Duration::from_millis(ms).as_secs_f64();
            }
            Step::Succeed if self.nobody_comes_again() => {
                self.world.succeed(self.ttl);
                self.successions += 1;
            }
            Step::Pass(_) | Step::Succeed => {}
        }
        let registered = self.world.registry.registered();
        for (backing, _) in self.inodes.values().filter_map(|inode| inode.backed) {
            assert!(registered.contains(&backing), "given up while it is open");
        }
    }

    /// Everybody closes; then the file is opened once more, complete and with nobody in the way.
    async fn end(&mut self) {
        for process in 0..self.processes.len() {
            while !matches!(self.processes[process], Process::Idle) {
                self.run(process, false).await;
            }
        }
        assert!(self.world.registry.registered().is_empty(), "space that stays taken");
        let handles = |record: &Record| matches!(record, Record::File { .. });
        assert!(!self.world.mount.fs.records().iter().any(handles));
        let nodes = self.inodes.len() as f64;
        // A successor does not know when a name was last sent on.
        let most = 2.0 + self.seconds / PAUSE as f64 + f64::from(self.successions);
        assert!(nodes <= most, "{nodes} nodes in {} s", self.seconds);
        self.world.registry.refuses.store(false, Ordering::Relaxed);
        self.world.complete();
        let node = self.look_up().await;
        id(&self.world.open(node).await.unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(if cfg!(debug_assertions) { 64 } else { 1500 }))]

    #[test]
    fn the_kernel_never_refuses_a_mode_and_nobody_sees_estale(steps in steps(), minimal: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let ttl = if minimal { Ttl::Minimal } else { MINUTE };
        runtime.block_on(async {
            let mut kernel = Kernel::new(ttl);
            for step in &steps {
                kernel.step(step).await;
            }
            kernel.end().await;
        });
    }
}
