//! Byte for byte against what pypsexec sends and reads; no byte here is our own.
#[path = "../../../tests/vectors/mod.rs"]
mod vectors;

use msrpc::rpc::{self, Bind, Fragment, Pdu, PresentationContext, Request, ResponseAssembler, RpcError};
use msrpc::scmr::{self, Call, Handle};
use serde_json::Value;

use vectors::{bytes, list, text, vectors};

/// pypsexec offers a second context, with a transfer syntax that stands for features of the transport.
#[test]
fn bind() {
    let offer = |context_id, transfer_syntax| PresentationContext {
        context_id,
        abstract_syntax: scmr::INTERFACE,
        transfer_syntaxes: vec![transfer_syntax],
    };
    let features = rpc::Interface {
        uuid: [0x2c, 0x1c, 0xb7, 0x6c, 0x12, 0x98, 0x40, 0x45, 3, 0, 0, 0, 0, 0, 0, 0],
        major: 1,
        minor: 0,
    };
    let bind = |contexts| {
        let body = Bind {
            max_transmit: rpc::MAX_FRAGMENT,
            max_receive: rpc::MAX_FRAGMENT,
            association_group: 0,
            contexts,
        };
        Fragment::whole(0, Pdu::Bind(body))
    };
    let theirs = bytes(&vectors()["bind"]);
    let both = bind(vec![offer(0, rpc::NDR32), offer(1, features)]);
    assert_eq!(both.encode(), theirs);
    assert_eq!(Fragment::decode(&theirs), Ok(both));
    assert_eq!(rpc::encode_bind(0, &scmr::INTERFACE), bind(vec![offer(0, rpc::NDR32)]).encode());
}

#[test]
fn answers_to_bind() {
    let vectors = vectors();
    let answer = |name: &str| rpc::decode_bind_answer(&bytes(&vectors["bind_answers"][name]), 0);
    assert_eq!(answer("ack"), Ok(rpc::BoundContext { max_transmit: 4000, max_receive: 4280 }));
    assert_eq!(answer("nak"), Err(RpcError::BindRejected { reason: 2 }));
    assert_eq!(answer("fault"), Err(RpcError::Fault { status: 0x1c00_001a }));
}

#[test]
fn open_manager_and_service() {
    let call = scmr::ROpenSCManagerW { machine_name: Some("server".to_owned()), desired_access: 0x7 };
    let [answer] = check_call("ROpenSCManagerW", [call]);
    assert_eq!(answer, scmr::HandleAnswer { handle: HANDLE, return_code: 0 });

    let call = scmr::ROpenServiceW {
        manager: HANDLE,
        service_name: "PAExec-4711-a".to_owned(),
        desired_access: SERVICE_ACCESS,
    };
    let [answer] = check_call("ROpenServiceW", [call]);
    assert_eq!(answer, scmr::HandleAnswer { handle: HANDLE, return_code: 0 });
}

/// pypsexec writes the null pointer to the dependencies with two bytes too many, so all that follows, which is zeros
/// as well, is two bytes late.
#[test]
fn create_service() {
    let call = scmr::RCreateServiceW {
        manager: HANDLE,
        service_name: "PAExec-4711-build-7".to_owned(),
        display_name: Some("PAExec-4711-build-7".to_owned()),
        desired_access: SERVICE_ACCESS,
        service_type: scmr::SERVICE_WIN32_OWN_PROCESS,
        start_type: scmr::SERVICE_DEMAND_START,
        error_control: scmr::SERVICE_ERROR_NORMAL,
        binary_path_name: r#""%SystemRoot%\PAExec-4711-build-7.exe" -service"#.to_owned(),
        account: None,
    };
    let theirs = request(&calls("RCreateServiceW")[0]);
    assert_eq!([call.encode(), vec![0, 0]].concat(), theirs.stub);
    assert_eq!(scmr::RCreateServiceW::decode(&theirs.stub), Ok(call));
    assert_eq!(theirs.opnum, scmr::RCreateServiceW::OPNUM);

    let answer = answer_stub(&calls("RCreateServiceW")[0]);
    assert_eq!(
        scmr::RCreateServiceW::decode_answer(&answer),
        Ok(scmr::CreateServiceAnswer { tag_id: None, handle: HANDLE, return_code: 0 })
    );
}

#[test]
fn start_query_stop_delete_close() {
    let done = scmr::ReturnCodeAnswer { return_code: 0 };
    let running = scmr::ServiceStatusAnswer { status: RUNNING, return_code: 0 };
    let closed = scmr::HandleAnswer { handle: Handle::default(), return_code: 0 };

    let start = scmr::RStartServiceW { service: HANDLE, arguments: Vec::new() };
    let [started] = check_call("RStartServiceW", [start]);
    assert_eq!(started, done);
    let [status] = check_call("RQueryServiceStatus", [scmr::RQueryServiceStatus { service: HANDLE }]);
    assert_eq!(status, running);
    let stop = scmr::RControlService { service: HANDLE, control: scmr::SERVICE_CONTROL_STOP };
    let [status] = check_call("RControlService", [stop]);
    assert_eq!(status, running);
    let [deleted] = check_call("RDeleteService", [scmr::RDeleteService { service: HANDLE }]);
    assert_eq!(deleted, done);
    let [answer] = check_call("RCloseServiceHandle", [scmr::RCloseServiceHandle { handle: HANDLE }]);
    assert_eq!(answer, closed);
}

#[test]
fn enumerate_services() {
    let call = |buffer_size| scmr::REnumServicesStatusW {
        manager: HANDLE,
        service_type: scmr::SERVICE_WIN32_OWN_PROCESS | scmr::SERVICE_WIN32_SHARE_PROCESS,
        service_state: scmr::SERVICE_STATE_ALL,
        buffer_size,
        resume_index: None,
    };
    let [too_small, all] = check_call("REnumServicesStatusW", [call(0), call(147)]);
    assert_eq!(
        too_small,
        scmr::EnumServicesStatusAnswer {
            services: Vec::new(),
            bytes_needed: 147,
            resume_index: None,
            return_code: scmr::ERROR_MORE_DATA,
        }
    );

    let read_by_pypsexec = calls("REnumServicesStatusW").remove(1)["result"].take();
    let expected = list(&read_by_pypsexec).iter().map(|service| scmr::EnumServiceStatus {
        service_name: text(&service["service_name"]).to_owned(),
        display_name: text(&service["display_name"]).to_owned(),
        status: RUNNING,
    });
    assert_eq!(all.services, expected.collect::<Vec<_>>());
    assert_eq!(all.services.len(), 2);
    assert_eq!((all.bytes_needed, all.resume_index, all.return_code), (0, None, 0));
}

/// Compares the calls of one name with pypsexec's, and decodes the answers.
fn check_call<C, const N: usize>(name: &str, ours: [C; N]) -> [C::Answer; N]
where
    C: Call + PartialEq + std::fmt::Debug,
{
    let mut vectors = calls(name).into_iter();
    let answers = ours.map(|call| {
        let vector = vectors.next().expect("as many vectors as calls");
        let theirs = request(&vector);
        assert_eq!(theirs.opnum, C::OPNUM);
        assert_eq!(call.encode(), theirs.stub);
        assert_eq!(C::decode(&theirs.stub), Ok(call));
        C::decode_answer(&answer_stub(&vector)).expect("an answer that pypsexec can read")
    });
    assert!(vectors.next().is_none());
    answers
}

/// Checks the PDU around the stub too: pypsexec's only difference to [`rpc::encode_request`] is that it hints nothing.
fn request(vector: &Value) -> Request {
    let theirs = bytes(&vector["request"]);
    let fragment = Fragment::decode(&theirs).expect("pypsexec's request");
    assert_eq!(fragment.encode(), theirs);
    let call_id = fragment.call_id;
    let Pdu::Request(request) = fragment.pdu else { panic!("{fragment:?} is no request") };

    let with_hint = Request {
        allocation_hint: u32::try_from(request.stub.len()).expect("a short stub"),
        ..request.clone()
    };
    assert_eq!(
        rpc::encode_request(call_id, request.opnum, &request.stub, rpc::MAX_FRAGMENT),
        [Fragment::whole(call_id, Pdu::Request(with_hint)).encode()]
    );
    request
}

fn answer_stub(vector: &Value) -> Vec<u8> {
    let answer = bytes(&vector["answer"]);
    ResponseAssembler::new(0).push(&answer).expect("a response").expect("a complete response")
}

fn calls(name: &str) -> Vec<Value> {
    list(&vectors()["calls"]).iter().filter(|call| call["name"] == name).cloned().collect()
}

/// SERVICE_QUERY_STATUS | SERVICE_START | SERVICE_STOP | DELETE
const SERVICE_ACCESS: u32 =
    scmr::SERVICE_QUERY_STATUS | scmr::SERVICE_START | scmr::SERVICE_STOP | scmr::DELETE;

const HANDLE: Handle = Handle([
    0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf, 0xb0,
    0xb1, 0xb2, 0xb3,
]);

const RUNNING: scmr::ServiceStatus = scmr::ServiceStatus {
    service_type: scmr::SERVICE_WIN32_OWN_PROCESS,
    current_state: scmr::SERVICE_RUNNING,
    controls_accepted: scmr::SERVICE_ACCEPT_STOP,
    win32_exit_code: 0,
    service_specific_exit_code: 0,
    check_point: 2,
    wait_hint: 3000,
};
