//! The time of day.

use jiff::Timestamp;

/// The current time, as results contain it.
pub fn current_timestamp() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
