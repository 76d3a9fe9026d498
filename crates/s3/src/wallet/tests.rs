use std::sync::atomic::{AtomicU64, Ordering};

use super::*;

/// Gives numbered credentials that last `seconds`, or fails once told to.
#[derive(Clone, Debug)]
struct Counting {
    asked: Arc<AtomicU64>,
    fails_after: u64,
    clock: Clock,
    seconds: u64,
}

impl ProvideCredentials for Counting {
    fn provide_credentials<'a>(&'a self) -> Provided<'a>
    where
        Self: 'a,
    {
        let n = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        if n > self.fails_after {
            return Provided::ready(Err(CredentialsError::not_loaded("none left")));
        }
        let end = UNIX_EPOCH + self.clock.now().0 + Duration::from_secs(self.seconds);
        Provided::ready(Ok(Credentials::new(format!("AK{n}"), "secret", None, Some(end), "test")))
    }
}

fn wallet(fails_after: u64) -> (Wallet, Arc<AtomicU64>, Clock) {
    let (asked, clock) = (Arc::<AtomicU64>::default(), Clock::start());
    let provider =
        Counting { asked: asked.clone(), fails_after, clock: clock.clone(), seconds: 600 };
    (Wallet::new(SharedCredentialsProvider::new(provider), clock.clone()), asked, clock)
}

#[tokio::test]
async fn credentials_are_looked_up_once_until_shortly_before_they_end() {
    let (wallet, asked, clock) = wallet(u64::MAX);
    for _ in 0..5 {
        assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AK1");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    clock.advance(Duration::from_secs(545));
    assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AK2");
}

#[tokio::test]
async fn a_failed_look_up_leaves_the_old_ones_in_use_until_they_end() {
    let (wallet, _, clock) = wallet(1);
    wallet.credentials().await.unwrap();
    clock.advance(Duration::from_secs(550));
    assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AK1");
    clock.advance(Duration::from_secs(100));
    let error = wallet.credentials().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Credentials);
    assert!(error.to_string().contains("none left"), "{error}");
}

#[tokio::test]
async fn refused_credentials_are_renewed_once_for_all_who_used_them() {
    let (wallet, asked, _) = wallet(u64::MAX);
    let used = wallet.credentials().await.unwrap();
    wallet.renew(&used).await;
    assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AK2");
    wallet.renew(&used).await;
    assert_eq!(wallet.credentials().await.unwrap().access_key_id(), "AK2");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}
