//! Stubs of every call and every answer.
#![no_main]
use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use msrpc::scmr::{
    Answer, Call, RChangeServiceConfig2W, RCloseServiceHandle, RControlService, RCreateServiceW,
    RDeleteService, REnumServicesStatusW, ROpenSCManagerW, ROpenServiceW, RQueryServiceStatus,
    RQueryServiceStatusEx, RStartServiceW,
};

fuzz_target!(|stub: &[u8]| {
    check::<RChangeServiceConfig2W>(stub);
    check::<RCloseServiceHandle>(stub);
    check::<RControlService>(stub);
    check::<RCreateServiceW>(stub);
    check::<RDeleteService>(stub);
    check::<REnumServicesStatusW>(stub);
    check::<ROpenSCManagerW>(stub);
    check::<ROpenServiceW>(stub);
    check::<RQueryServiceStatus>(stub);
    check::<RQueryServiceStatusEx>(stub);
    check::<RStartServiceW>(stub);

    // Names are found by offset, so a small answer could grow large.
    if let Ok(answer) = REnumServicesStatusW::decode_answer(stub) {
        let names =
            answer.services.iter().map(|service| service.service_name.len() + service.display_name.len());
        assert!(names.sum::<usize>() <= 3 * stub.len());
    }
});

fn check<C>(stub: &[u8])
where
    C: Call + PartialEq + Debug,
    C::Answer: Answer + PartialEq + Debug,
{
    if let Ok(call) = C::decode(stub) {
        assert_eq!(C::decode(&call.encode()), Ok(call));
    }
    if let Ok(answer) = C::decode_answer(stub) {
        assert_eq!(C::decode_answer(&C::encode_answer(&answer)), Ok(answer));
    }
}
