//! What modules say when they fail, for the tests of their contract. Other crates with modules include this file.

use serde_json::Value;

/// Fails unless the module has failed and has said this.
#[track_caller]
pub(crate) fn assert_message(answer: &Value, part: &str) {
    assert_eq!(answer["failed"], true);
    assert!(
        answer["msg"].as_str().is_some_and(|message| message.contains(part)),
        "{part:?} is not in {answer}"
    );
}
