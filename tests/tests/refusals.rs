//! Accounts and shares that only a lab can be given. What any host may refuse is in `connection.rs`.

use end_to_end::host::{Host, on_lab};
use end_to_end::lab::{
    Account, DISABLED, EXPIRED, LOCKED, LabOptions, ORDINARY_USER, RefusedRequests, UNICODE_ADMINISTRATOR,
};
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

/// Windows fails what takes its time within a compound with STATUS_INTERNAL_ERROR, unless it is the last there.
#[test]
fn what_is_failed_in_a_compound_is_done_in_single_requests() {
    const INTERNAL_ERROR: u32 = 0xC000_00E5;
    const INVALID_PIPE_STATE: u32 = 0xC000_00AD;
    const INVALID_READ_MODE: u32 = 0xC000_00B4;
    const ALWAYS: u32 = u32::MAX;
    let none = RefusedRequests::default();

    for (what, refused_requests) in [
        ("the upload", RefusedRequests { writes: 1, ..none }),
        ("the deletion, held for a while", RefusedRequests { deletions: 3, ..none }),
        ("the bind", RefusedRequests { transceives: (1, INTERNAL_ERROR), ..none }),
        ("every transceive", RefusedRequests { transceives: (ALWAYS, INVALID_READ_MODE), ..none }),
        (
            "every transceive, otherwise",
            RefusedRequests { transceives: (ALWAYS, INVALID_PIPE_STATE), ..none },
        ),
    ] {
        println!("{what}");
        let host = Host::of_lab(&LabOptions { refused_requests, ..LabOptions::default() });
        let before = host.snapshot().expect("a snapshot");
        let outcome = host.probe("exit 3", &json!({}));
        outcome.assert_ran(3);
        assert!(!outcome.has("warnings"), "{what}: {:?}", outcome.result);
        host.assert_clean(&before).expect("a clean host");
    }
}

/// What is refused again and again is told.
#[test]
fn an_upload_that_is_failed_twice_is_told() {
    let refused_requests = RefusedRequests { writes: 5, ..RefusedRequests::default() };
    let host = Host::of_lab(&LabOptions { refused_requests, ..LabOptions::default() });
    let before = host.snapshot().expect("a snapshot");
    let outcome = host.probe("exit 3", &json!({}));
    assert!(outcome.assert_failed().contains("STATUS_INTERNAL_ERROR"), "{:?}", outcome.result);
    host.assert_clean(&before).expect("a clean host");
}
