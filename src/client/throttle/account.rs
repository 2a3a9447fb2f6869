//! Accounts: what targets share that are charged to the same account, the rates it may be used at and the pauses that
//! its provider asks for.
//!
//! A 429 to one target of an account is news for all of them. Which targets share one is decided by [`Accounts`]: those
//! of the same name, where they are given one, else those with the same server and the same credential. Nothing here
//! prints a credential.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::client::base_url::BaseUrl;
use crate::client::error::ClientError;
use crate::client::throttle::backpressure::{AccountBackpressure, SendPermit};
use crate::client::throttle::rate_limiter::{AccountRateLimiter, PerMinuteLimits};

/// What all clients of one account wait for.
pub struct RateLimitAccount {
    /// Each with what it was made from: where targets state different rates, each of them holds.
    rate_limiters: RwLock<Vec<(PerMinuteLimits, Arc<AccountRateLimiter>)>>,
    backpressure: Option<AccountBackpressure>,
}

impl RateLimitAccount {
    /// An account that may be used at these rates. It heeds what its provider says of too many requests where
    /// `first_gap` says how far apart they are kept after the first such word.
    ///
    /// # Errors
    ///
    /// When a rate is zero.
    pub fn new(rates: PerMinuteLimits, first_gap: Option<Duration>) -> Result<Self, ClientError> {
        let limits = RwLock::new(vec![(rates, Arc::new(AccountRateLimiter::new(rates)?))]);
        Ok(Self { rate_limiters: limits, backpressure: first_gap.map(AccountBackpressure::new) })
    }

    /// Makes it obey these rates as well.
    ///
    /// # Errors
    ///
    /// When a rate is zero.
    pub fn add_limits(&self, rates: PerMinuteLimits) -> Result<(), ClientError> {
        let mut limits = self.rate_limiters.write().unwrap_or_else(PoisonError::into_inner);
        if !limits.iter().any(|(known, _)| *known == rates) {
            limits.push((rates, Arc::new(AccountRateLimiter::new(rates)?)));
        }
        Ok(())
    }

    /// Waits until one more attempt with about this many tokens may be sent. The attempt is under way until what is given
    /// back is dropped, and is to tell it what it brought: `None` where nobody listens.
    pub(crate) async fn acquire(&self, tokens: u32) -> Option<SendPermit<'_>> {
        let limits: Vec<Arc<AccountRateLimiter>> = {
            let limits = self.rate_limiters.read().unwrap_or_else(PoisonError::into_inner);
            limits.iter().map(|(_, limits)| limits.clone()).collect()
        };
        for limits in limits {
            limits.acquire(tokens).await;
        }
        match &self.backpressure {
            Some(pause) => Some(pause.acquire(tokens).await),
            None => None,
        }
    }
}

impl fmt::Debug for RateLimitAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("heeds_limits", &self.backpressure.is_some()).finish_non_exhaustive()
    }
}

/// The accounts of all targets that are tested together.
#[derive(Default)]
pub struct AccountRegistry(Mutex<Vec<(AccountKey, Arc<RateLimitAccount>)>>);

/// What tells accounts from each other.
enum AccountKey {
    ByName(String),
    ByOrigin { origin: String, credential: Option<SecretString> },
}

impl PartialEq for AccountKey {
    fn eq(&self, other: &Self) -> bool {
        let text = |c: &Option<SecretString>| c.as_ref().map(|c| c.expose_secret().to_owned());
        match (self, other) {
            (Self::ByName(one), Self::ByName(other)) => one == other,
            (Self::ByOrigin { origin, credential }, Self::ByOrigin { origin: other, credential: with }) => {
                origin == other && text(credential) == text(with)
            }
            (Self::ByName(_), Self::ByOrigin { .. }) | (Self::ByOrigin { .. }, Self::ByName(_)) => false,
        }
    }
}

impl AccountRegistry {
    /// The account of a target: the one of its `name`, where it has one, else of its server and credential. The first
    /// target of an account says how it is slowed down; the rates of each hold for all.
    ///
    /// # Errors
    ///
    /// When the base URL cannot be used, or a rate is zero.
    pub fn get_or_create(
        &self,
        name: Option<&str>,
        base_url: &str,
        credential: Option<&SecretString>,
        rates: PerMinuteLimits,
        first_gap: Option<Duration>,
    ) -> Result<Arc<RateLimitAccount>, ClientError> {
        let key = match name {
            Some(name) => AccountKey::ByName(name.to_owned()),
            None => {
                AccountKey::ByOrigin { origin: BaseUrl::parse(base_url)?.origin(), credential: credential.cloned() }
            }
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, account)) = known.iter().find(|(of, _)| *of == key) {
            account.add_limits(rates)?;
            return Ok(account.clone());
        }
        let account = Arc::new(RateLimitAccount::new(rates, first_gap)?);
        known.push((key, account.clone()));
        Ok(account)
    }
}

impl fmt::Debug for AccountRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        f.debug_struct("Accounts").field("known", &known).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE_URL: &str = "https://api.example.com/anthropic";

    fn get_account(accounts: &AccountRegistry, name: Option<&str>, url: &str, key: &str) -> Arc<RateLimitAccount> {
        accounts.get_or_create(name, url, Some(&SecretString::from(key)), PerMinuteLimits::default(), None).unwrap()
    }

    #[test]
    fn one_server_and_one_credential_are_one_account_whatever_the_path() {
        let accounts = AccountRegistry::default();
        let first = get_account(&accounts, None, BASE_URL, "k1");
        assert!(Arc::ptr_eq(&first, &get_account(&accounts, None, "https://API.example.com:443/other", "k1")));
        for (url, key) in [(BASE_URL, "k2"), ("http://api.example.com", "k1"), ("https://api.example.com:8443", "k1")] {
            assert!(!Arc::ptr_eq(&first, &get_account(&accounts, None, url, key)), "{url} {key}");
        }
    }

    #[test]
    fn a_name_is_one_account_wherever_it_is_used() {
        let accounts = AccountRegistry::default();
        let ours = get_account(&accounts, Some("ours"), BASE_URL, "k1");
        assert!(Arc::ptr_eq(&ours, &get_account(&accounts, Some("ours"), "http://127.0.0.1:1", "k2")));
        assert!(!Arc::ptr_eq(&ours, &get_account(&accounts, None, BASE_URL, "k1")));
        assert!(!format!("{accounts:?}{ours:?}").contains("k1"));
    }

    #[tokio::test]
    async fn the_rates_of_each_target_hold_for_all() {
        let account = RateLimitAccount::new(PerMinuteLimits::default(), None).unwrap();
        account.add_limits(PerMinuteLimits { requests: Some(1200), tokens: None }).unwrap();
        account.add_limits(PerMinuteLimits { requests: Some(1200), tokens: None }).unwrap();
        assert_eq!(account.rate_limiters.read().unwrap().len(), 2, "the same rate counts once");
        let started = std::time::Instant::now();
        for _ in 0..5 {
            account.acquire(1).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(180), "{:?}", started.elapsed());
        assert!(account.add_limits(PerMinuteLimits { requests: Some(0), tokens: None }).is_err());
    }
}
