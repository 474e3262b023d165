//! Accounts and shares that only a lab can be given. What any host may refuse is in `connection.rs`.

use end_to_end::host::{Host, on_lab};
use end_to_end::lab::{Account, DISABLED, EXPIRED, LOCKED, LabOptions, ORDINARY_USER, UNICODE_ADMINISTRATOR};
use end_to_end::module::Outcome;
use serde_json::json;

fn connect_as(host: &Host, account: Account) -> Outcome {
    let options = json!({ "connection_username": account.name, "connection_password": account.password });
    host.probe("exit 0", &options)
}

#[test]
fn the_state_of_an_account_is_told() {
    on_lab(|host, _| {
        for (account, status) in [
            (DISABLED, "STATUS_ACCOUNT_DISABLED"),
            (EXPIRED, "STATUS_ACCOUNT_EXPIRED"),
            (LOCKED, "STATUS_ACCOUNT_LOCKED_OUT"),
        ] {
            let outcome = connect_as(host, account);
            let message = outcome.assert_failed();
            assert!(message.contains("Failed to authenticate over SMB: "), "{message}");
            assert!(message.contains(status), "{message}");
        }
    });
}

#[test]
fn a_user_who_is_no_administrator_is_refused() {
    on_lab(|host, _| {
        let outcome = connect_as(host, ORDINARY_USER);
        let message = outcome.assert_failed();
        assert!(message.contains("STATUS_ACCESS_DENIED"), "{message}");
    });
}

#[test]
fn names_and_passwords_may_be_any_unicode() {
    on_lab(|host, _| {
        connect_as(host, UNICODE_ADMINISTRATOR).assert_ran(0);
    });
}

#[test]
fn a_share_that_cannot_be_written_is_told() {
    let host = Host::of_lab(&LabOptions { read_only: true, ..LabOptions::default() });
    let outcome = host.probe("exit 0", &json!({}));
    let message = outcome.assert_failed();
    assert!(
        message.contains("STATUS_ACCESS_DENIED") || message.contains("STATUS_MEDIA_WRITE_PROTECTED"),
        "{message}"
    );
}
