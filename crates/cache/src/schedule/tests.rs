//! Every order of events that chance finds: threads of several processes on one cache, switched
//! at the [steps](super::step), and what must hold whatever the order.
//!
//! A process is a [`Cache`](crate::Cache) of its own, with its own open files, hence its own
//! locks. What tokio drives in the product is called here by the threads of the exploration.
//!
//! `SHUTTLE_RANDOM_SEED` explores others than the usual schedules.

mod claims;
mod node;
mod power;
mod room;
mod seals;
pub(crate) mod turns;

use std::sync::Arc;

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use node::Node;

/// How many schedules of each kind there are.
const SCHEDULES: usize = 800;
const SEED: u64 = 20_261_128;
/// Whoever takes more steps in one schedule waits for what never comes.
const STEPS_MAX: usize = 500_000;
/// Of a thread, in bytes.
const STACK: usize = 256 << 10;
/// How often a thread of a PCT schedule is passed by although it could go on.
const CHANGES: usize = 4;

/// Runs `scene` under many schedules, some of which switch all the time and some hardly ever.
fn explore(scene: fn(&Arc<Node>)) {
    explore_by(scene, RandomScheduler::new_from_seed(SEED, SCHEDULES));
    explore_by(scene, PctScheduler::new_from_seed(SEED, CHANGES, SCHEDULES));
}

fn explore_by(scene: fn(&Arc<Node>), scheduler: impl Scheduler + 'static) {
    let mut config = Config::new();
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config.stack_size = STACK;
    config.ungraceful_shutdown_config.immediately_return_on_panic = true;
    let run = move || {
        // Eviction and the ledger draw lots.
        fastrand::seed(SEED);
        // Never driven: a cache's own tasks do nothing.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _inside = runtime.enter();
        scene(&Node::new());
    };
    turns::exploring(true, || Runner::new(scheduler, config).run(run));
}

/// Runs all of them, and returns when all have ended.
fn together<const N: usize>(threads: [Box<dyn FnOnce() + Send>; N]) {
    let threads = threads.map(shuttle::thread::spawn);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
