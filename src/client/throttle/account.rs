//! [`RateLimitAccount`]: the rate limits and the backpressure that several targets share.
//!
//! A 429 response to one target of an account slows down all of them. [`AccountRegistry`] decides
//! which targets share an account: those with the same account name, or without a name those with
//! the same server and credential. Nothing here prints a credential.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};

use crate::client::base_url::BaseUrl;
use crate::client::error::ClientError;
use crate::client::throttle::backpressure::{AccountBackpressure, SendPermit};
use crate::client::throttle::rate_limiter::{AccountRateLimiter, PerMinuteLimits};

/// The limits that all clients of one account wait for.
pub struct RateLimitAccount {
    /// One limiter for each set of limits. If targets have different limits, all of them apply.
    rate_limiters: RwLock<Vec<(PerMinuteLimits, Arc<AccountRateLimiter>)>>,
    backpressure: Option<AccountBackpressure>,
}

impl RateLimitAccount {
    /// An account with these limits. With `initial_interval`, the account also follows the limits
    /// of the server, and this is the delay between requests after the first throttled response.
    ///
    /// # Errors
    ///
    /// A limit is zero.
    pub fn new(limits: PerMinuteLimits, initial_interval: Option<Duration>) -> Result<Self, ClientError> {
        let account =
            Self { rate_limiters: RwLock::default(), backpressure: initial_interval.map(AccountBackpressure::new) };
        account.add_limits(limits)?;
        Ok(account)
    }

    /// Adds limits to the account.
    ///
    /// # Errors
    ///
    /// A limit is zero.
    pub fn add_limits(&self, limits: PerMinuteLimits) -> Result<(), ClientError> {
        let mut limiters = self.rate_limiters.write().unwrap_or_else(PoisonError::into_inner);
        if !limiters.iter().any(|(existing, _)| *existing == limits) {
            limiters.push((limits, Arc::new(AccountRateLimiter::new(limits)?)));
        }
        Ok(())
    }

    /// Waits until the configured limits allow one more attempt of about this many tokens.
    pub(crate) async fn wait_for_limits(&self, tokens: u32) {
        let limiters: Vec<Arc<AccountRateLimiter>> = {
            let limiters = self.rate_limiters.read().unwrap_or_else(PoisonError::into_inner);
            limiters.iter().map(|(_, limiter)| limiter.clone()).collect()
        };
        for limiter in limiters {
            limiter.acquire(tokens).await;
        }
    }

    /// Waits until the limits of the server allow one more attempt. The attempt is in flight until
    /// the permit is dropped. The caller reports the result to the permit, if there is one.
    pub(crate) async fn acquire_permit(&self, tokens: u32) -> Option<SendPermit<'_>> {
        match &self.backpressure {
            Some(backpressure) => Some(backpressure.acquire(tokens).await),
            None => None,
        }
    }
}

impl fmt::Debug for RateLimitAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitAccount").finish_non_exhaustive()
    }
}

/// The accounts of all targets of a command.
#[derive(Default)]
pub struct AccountRegistry(Mutex<Vec<(AccountKey, Arc<RateLimitAccount>)>>);

/// The identity of an account.
enum AccountKey {
    ByName(String),
    ByOrigin { origin: String, credential: Option<SecretString> },
}

impl PartialEq for AccountKey {
    fn eq(&self, other: &Self) -> bool {
        fn expose(credential: &Option<SecretString>) -> Option<&str> {
            credential.as_ref().map(|credential| credential.expose_secret())
        }
        match (self, other) {
            (Self::ByName(left), Self::ByName(right)) => left == right,
            (
                Self::ByOrigin { origin: left, credential: left_credential },
                Self::ByOrigin { origin: right, credential: right_credential },
            ) => left == right && expose(left_credential) == expose(right_credential),
            (Self::ByName(_), Self::ByOrigin { .. }) | (Self::ByOrigin { .. }, Self::ByName(_)) => false,
        }
    }
}

impl AccountRegistry {
    /// The account of a target: by its account `name`, or without one by its server and credential.
    /// The first target of an account sets `initial_interval`. The limits of each target apply to
    /// all.
    ///
    /// # Errors
    ///
    /// The base URL is not usable, or a limit is zero.
    pub fn get_or_create(
        &self,
        name: Option<&str>,
        base_url: &str,
        credential: Option<&SecretString>,
        limits: PerMinuteLimits,
        initial_interval: Option<Duration>,
    ) -> Result<Arc<RateLimitAccount>, ClientError> {
        let key = match name {
            Some(name) => AccountKey::ByName(name.to_owned()),
            None => {
                AccountKey::ByOrigin { origin: BaseUrl::parse(base_url)?.origin(), credential: credential.cloned() }
            }
        };
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, account)) = accounts.iter().find(|(existing, _)| *existing == key) {
            account.add_limits(limits)?;
            return Ok(account.clone());
        }
        let account = Arc::new(RateLimitAccount::new(limits, initial_interval)?);
        accounts.push((key, account.clone()));
        Ok(account)
    }
}

impl fmt::Debug for AccountRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccountRegistry").finish_non_exhaustive()
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
    fn targets_with_the_same_server_and_credential_share_an_account() {
        let accounts = AccountRegistry::default();
        let first = get_account(&accounts, None, BASE_URL, "k1");
        assert!(Arc::ptr_eq(&first, &get_account(&accounts, None, "https://API.example.com:443/other", "k1")));
        for (url, key) in [(BASE_URL, "k2"), ("http://api.example.com", "k1"), ("https://api.example.com:8443", "k1")] {
            assert!(!Arc::ptr_eq(&first, &get_account(&accounts, None, url, key)), "{url} {key}");
        }
    }

    #[test]
    fn targets_with_the_same_account_name_share_an_account() {
        let accounts = AccountRegistry::default();
        let named = get_account(&accounts, Some("ours"), BASE_URL, "k1");
        assert!(Arc::ptr_eq(&named, &get_account(&accounts, Some("ours"), "http://127.0.0.1:1", "k2")));
        assert!(!Arc::ptr_eq(&named, &get_account(&accounts, None, BASE_URL, "k1")));
        assert!(!format!("{accounts:?}{named:?}").contains("k1"));
    }

    #[tokio::test]
    async fn the_limits_of_each_target_apply_to_all() {
        let account = RateLimitAccount::new(PerMinuteLimits::default(), None).unwrap();
        account.add_limits(PerMinuteLimits { requests: Some(1200), tokens: None }).unwrap();
        account.add_limits(PerMinuteLimits { requests: Some(1200), tokens: None }).unwrap();
        assert_eq!(account.rate_limiters.read().unwrap().len(), 2, "equal limits count once");
        let started = std::time::Instant::now();
        for _ in 0..5 {
            account.wait_for_limits(1).await;
        }
        assert!(started.elapsed() >= Duration::from_millis(180), "{:?}", started.elapsed());
        assert!(account.add_limits(PerMinuteLimits { requests: Some(0), tokens: None }).is_err());
    }
}
