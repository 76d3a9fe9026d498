//! One connection: a question and its answers.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{interval, timeout};

use super::protocol::{self, Answer, Ask, BadLine, Order};
use crate::warm::{Job, Warmer};

/// How long the other end may take to say all of its question, or to take an answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often progress is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Answers that may wait for the other end.
const WAITING: usize = 64;
/// Files that fail in the background are logged one by one up to this number.
const LOGGED: u64 = 20;

/// Who answers.
pub struct Desk {
    /// What the mount is and has done.
    pub status: Box<dyn Fn() -> serde_json::Map<String, serde_json::Value> + Send + Sync>,
    /// Who fetches files into the cache, where there is one.
    pub warmer: Option<Arc<Warmer>>,
}

/// A connection that was accepted.
pub(super) struct Session {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
    desk: Arc<Desk>,
    /// Held while the connection counts; there is none when there are too many.
    place: Option<OwnedSemaphorePermit>,
}

/// The other end is gone, or does not listen.
struct Gone;

impl Session {
    pub(super) fn new(
        stream: UnixStream,
        desk: Arc<Desk>,
        place: Option<OwnedSemaphorePermit>,
    ) -> Self {
        let (from, to) = stream.into_split();
        Self { from: BufReader::new(from), to, desk, place }
    }

    /// Answers, or ends when the other end does.
    pub(super) async fn attend(mut self) {
        let refused = |why: String, fix: &str| Answer::Refused { why, fix: fix.into() };
        if self.place.is_none() {
            let busy = refused("too many commands ask this mount".into(), "try again");
            let _ = self.say(&busy).await;
            return;
        }
        let asked = timeout(PATIENCE, self.question()).await;
        // Whoever left has no use for an answer.
        let _ = match asked {
            Ok(Ok(Some((ask, paths)))) => self.answer(ask, paths).await,
            Ok(Ok(None)) => Ok(()),
            Ok(Err(bad)) => {
                self.say(&refused(bad.to_string(), "use the same version of mount-s3")).await
            }
            Err(_) => self.say(&refused("the question took too long".into(), "try again")).await,
        };
    }

    async fn question(&mut self) -> Result<Option<(Ask, Vec<String>)>, BadLine> {
        let Some(ask) = protocol::read(&mut self.from).await? else { return Ok(None) };
        let paths = match ask {
            Ask::Status {} => Vec::new(),
            Ask::Warm(_) | Ask::Resident {} => protocol::read_paths(&mut self.from).await?,
        };
        Ok(Some((ask, paths)))
    }

    async fn answer(mut self, ask: Ask, paths: Vec<String>) -> Result<(), Gone> {
        if ask == (Ask::Status {}) {
            let status = Answer::Status((self.desk.status)());
            return self.say(&status).await;
        }
        let Some(warmer) = self.desk.warmer.clone() else {
            let refused = Answer::Refused {
                why: "this mount has no cache to keep files in".into(),
                fix: "unmount it and mount it again with --cache DIRECTORY".into(),
            };
            return self.say(&refused).await;
        };
        let order = match ask {
            Ask::Warm(order) => Some(order),
            _ => None,
        };
        let background = order.is_some_and(|order| order.background);
        let files = paths.len() as u64;
        let job = match order {
            Some(_) => warmer.begin(files, background),
            None => Some(Arc::new(Job::new(files, false))),
        };
        let Some(job) = job else {
            let refused = Answer::Refused {
                why: "too many commands fetch files into this cache at the same time".into(),
                fix: "wait until one has ended".into(),
            };
            return self.say(&refused).await;
        };
        let (tell, told) = mpsc::channel(WAITING);
        let working = work(warmer, order, paths, job.clone(), tell);
        if !background {
            return self.tell(working, &job, told).await;
        }
        let accepted = Answer::Accepted { files: job.progress().files };
        // Nobody waits: it goes on whether or not that was heard.
        let _ = self.say(&accepted).await;
        drop(self);
        tokio::join!(working, log(told));
        tracing::info!("fetched in the background: {:?}", job.progress());
        Ok(())
    }

    /// Tells what the work brings and how far it is, and ends it when the other end is gone.
    async fn tell(
        &mut self,
        working: impl Future<Output = ()>,
        job: &Job,
        mut told: mpsc::Receiver<Answer>,
    ) -> Result<(), Gone> {
        let mut working = std::pin::pin!(working);
        let mut ticks = interval(PROGRESS_EVERY);
        let mut byte = [0];
        let mut over = false;
        while !over {
            let answer = tokio::select! {
                answer = told.recv() => match answer {
                    Some(answer) => answer,
                    None => break,
                },
                () = &mut working => {
                    over = true;
                    continue;
                }
                _ = ticks.tick() => Answer::Progress(job.progress()),
                // Nothing more is to be said: it is the end.
                _ = self.from.read(&mut byte) => return Err(Gone),
            };
            self.say(&answer).await?;
        }
        while let Ok(answer) = told.try_recv() {
            self.say(&answer).await?;
        }
        self.say(&Answer::Done(job.progress())).await
    }

    async fn say(&mut self, answer: &Answer) -> Result<(), Gone> {
        let line = protocol::line(answer).map_err(|_| Gone)?;
        match timeout(PATIENCE, self.to.write_all(&line)).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Gone),
        }
    }
}

async fn work(
    warmer: Arc<Warmer>,
    order: Option<Order>,
    paths: Vec<String>,
    job: Arc<Job>,
    tell: mpsc::Sender<Answer>,
) {
    let _running = job.running();
    match order {
        Some(order) => warmer.warm(order, paths, &job, &tell).await,
        None => warmer.look(paths, &job, &tell).await,
    }
}

/// Logs the files that failed.
async fn log(mut told: mpsc::Receiver<Answer>) {
    let mut failed = 0;
    while let Some(answer) = told.recv().await {
        if let Answer::Failed { path, why } = answer {
            failed += 1;
            if failed <= LOGGED {
                tracing::warn!("{path:?} cannot be fetched into the cache: {why}");
            }
        }
    }
    if failed > LOGGED {
        tracing::warn!("{} more files cannot be fetched into the cache", failed - LOGGED);
    }
}
