//! What holds for every value and for every input: decoding reverses encoding, and nothing panics.
use msrpc::{rpc::*, scmr::*};
use proptest::{collection::vec, option, prelude::*};

fn interface() -> impl Strategy<Value = Interface> {
    any::<([u8; 16], u16, u16)>().prop_map(|(uuid, major, minor)| Interface { uuid, major, minor })
}

fn presentation_context() -> impl Strategy<Value = PresentationContext> {
    (any::<u16>(), interface(), vec(interface(), 0..4)).prop_map(
        |(context_id, abstract_syntax, transfer_syntaxes)| PresentationContext {
            context_id,
            abstract_syntax,
            transfer_syntaxes,
        },
    )
}

fn presentation_result() -> impl Strategy<Value = PresentationResult> {
    (any::<(u16, u16)>(), interface()).prop_map(|((result, reason), transfer_syntax)| PresentationResult {
        result,
        reason,
        transfer_syntax,
    })
}

fn pdu() -> impl Strategy<Value = Pdu> {
    let stub = || vec(any::<u8>(), 0..100);
    prop_oneof![
        (any::<(u16, u16, u32)>(), vec(presentation_context(), 0..4)).prop_map(
            |((max_transmit, max_receive, association_group), contexts)| {
                Pdu::Bind(Bind { max_transmit, max_receive, association_group, contexts })
            }
        ),
        (any::<(u16, u16, u32)>(), vec(any::<u8>(), 0..20), vec(presentation_result(), 0..4)).prop_map(
            |((max_transmit, max_receive, association_group), secondary_address, results)| {
                Pdu::BindAck(BindAck {
                    max_transmit,
                    max_receive,
                    association_group,
                    secondary_address,
                    results,
                })
            }
        ),
        (any::<u16>(), vec(any::<(u8, u8)>(), 0..4))
            .prop_map(|(reason, versions)| Pdu::BindNak(BindNak { reason, versions })),
        (any::<(u32, u16, u16)>(), stub()).prop_map(|((allocation_hint, context_id, opnum), stub)| {
            Pdu::Request(Request { allocation_hint, context_id, opnum, stub })
        }),
        (any::<(u32, u16, u8)>(), stub()).prop_map(|((allocation_hint, context_id, cancel_count), stub)| {
            Pdu::Response(Response { allocation_hint, context_id, cancel_count, stub })
        }),
        any::<(u32, u16, u8, u32)>().prop_map(|(allocation_hint, context_id, cancel_count, status)| {
            Pdu::Fault(Fault { allocation_hint, context_id, cancel_count, status })
        }),
    ]
}

fn fragment() -> impl Strategy<Value = Fragment> {
    (any::<(bool, bool, u32)>(), pdu()).prop_map(|((first, last, call_id), pdu)| Fragment {
        first,
        last,
        call_id,
        pdu,
    })
}

fn handle() -> impl Strategy<Value = Handle> {
    any::<[u8; 20]>().prop_map(Handle)
}

fn service_status() -> impl Strategy<Value = ServiceStatus> {
    any::<[u32; 7]>().prop_map(|words| {
        let [type_, state, controls, exit, specific, check_point, wait_hint] = words;
        ServiceStatus {
            service_type: type_,
            current_state: state,
            controls_accepted: controls,
            win32_exit_code: exit,
            service_specific_exit_code: specific,
            check_point,
            wait_hint,
        }
    })
}

fn enumerated_service() -> impl Strategy<Value = EnumServiceStatus> {
    ("[^\0]{0,20}", "[^\0]{0,20}", service_status()).prop_map(|(service_name, display_name, status)| {
        EnumServiceStatus { service_name, display_name, status }
    })
}

/// Pushes `bytes` in pieces of `size` bytes, and returns the one answer that the last of them completes.
fn push_in_pieces<T, E: core::fmt::Debug>(
    bytes: &[u8],
    size: usize,
    mut push: impl FnMut(&[u8]) -> Result<Option<T>, E>,
) -> T {
    let mut pieces = bytes.chunks(size).peekable();
    while let Some(piece) = pieces.next() {
        let answer = push(piece).expect("a valid piece");
        assert_eq!(answer.is_some(), pieces.peek().is_none(), "complete too early or too late");
        if let Some(answer) = answer {
            return answer;
        }
    }
    unreachable!("there is at least one piece")
}

fn call_round_trip<C: Call + PartialEq + core::fmt::Debug>(call: C) -> Result<(), TestCaseError> {
    prop_assert_eq!(C::decode(&call.encode()), Ok(call));
    Ok(())
}

fn answer_round_trip<C: Call>(answer: C::Answer) -> Result<(), TestCaseError>
where
    C::Answer: PartialEq + core::fmt::Debug,
{
    prop_assert_eq!(C::decode_answer(&C::encode_answer(&answer)), Ok(answer));
    Ok(())
}

/// Whatever decodes is encoded to something that decodes to the same.
fn decode_anything<C>(bytes: &[u8]) -> Result<(), TestCaseError>
where
    C: Call + PartialEq + core::fmt::Debug,
    C::Answer: PartialEq + core::fmt::Debug,
{
    if let Ok(call) = C::decode(bytes) {
        call_round_trip(call)?;
    }
    let _ = C::decode_answer(bytes);
    Ok(())
}

proptest! {
    #[test]
    fn fragments_decode_back(fragment in fragment()) {
        prop_assert_eq!(Fragment::decode(&fragment.encode()), Ok(fragment));
    }

    #[test]
    fn any_fragment_is_decoded_without_panic(
        fragment in fragment(),
        changes in vec(any::<(prop::sample::Index, u8)>(), 0..4),
        bytes in vec(any::<u8>(), 0..100),
    ) {
        let mut changed = fragment.encode();
        for (at, value) in changes {
            let at = at.index(changed.len());
            changed[at] = value;
        }
        for bytes in [changed, bytes] {
            if let Ok(fragment) = Fragment::decode(&bytes) {
                prop_assert_eq!(Fragment::decode(&fragment.encode()), Ok(fragment));
            }
            let _ = decode_bind_answer(&bytes, 1);
            let _ = ResponseAssembler::new(1).push(&bytes);
            let _ = RequestAssembler::new().push(&bytes);
        }
    }

    #[test]
    fn calls_are_reassembled(
        call_id: u32,
        opnum: u16,
        stub in vec(any::<u8>(), 0..300),
        max_fragment in 0u16..100,
        piece in 1usize..120,
    ) {
        let fragments = encode_request(call_id, opnum, &stub, max_fragment);
        prop_assert!(fragments.iter().all(|fragment| fragment.len() <= usize::from(max_fragment.max(32))));
        let mut assembler = RequestAssembler::new();
        let request = push_in_pieces(&fragments.concat(), piece, |bytes| assembler.push(bytes));
        prop_assert_eq!(request, AssembledRequest { call_id, opnum, stub: stub.clone() });

        let mut assembler = ResponseAssembler::new(call_id);
        let fragments = encode_response(call_id, &stub, max_fragment);
        prop_assert_eq!(push_in_pieces(&fragments.concat(), piece, |bytes| assembler.push(bytes)), stub);
    }

    #[test]
    fn scm_calls_decode_back(
        handle in handle(),
        words: [u32; 5],
        texts: [String; 2],
        optional in option::of(any::<String>()),
        account in option::of(any::<String>()),
        resume_index in option::of(any::<u32>()),
    ) {
        let [service_name, binary_path_name] = texts;
        let [desired_access, service_type, start_type, error_control, buffer_size] = words;
        call_round_trip(RCloseServiceHandle { handle })?;
        call_round_trip(RControlService { service: handle, control: words[0] })?;
        call_round_trip(RDeleteService { service: handle })?;
        call_round_trip(RQueryServiceStatus { service: handle })?;
        call_round_trip(RQueryServiceStatusEx { service: handle })?;
        call_round_trip(RStartServiceW { service: handle, arguments: vec![service_name.clone(), binary_path_name.clone()] })?;
        call_round_trip(RChangeServiceConfig2W { service: handle, description: service_name.clone() })?;
        call_round_trip(ROpenSCManagerW { machine_name: optional.clone(), desired_access })?;
        call_round_trip(ROpenServiceW { manager: handle, service_name: service_name.clone(), desired_access })?;
        call_round_trip(REnumServicesStatusW {
            manager: handle,
            service_type,
            service_state: start_type,
            buffer_size,
            resume_index,
        })?;
        call_round_trip(RCreateServiceW {
            manager: handle,
            service_name,
            display_name: optional,
            desired_access,
            service_type,
            start_type,
            error_control,
            binary_path_name,
            account,
        })?;
    }

    #[test]
    fn scm_answers_decode_back(
        handle in handle(),
        status in service_status(),
        return_code: u32,
        words: [u32; 3],
        optional in option::of(any::<u32>()),
        services in vec(enumerated_service(), 0..5),
    ) {
        let [process_id, service_flags, bytes_needed] = words;
        answer_round_trip::<RDeleteService>(ReturnCodeAnswer { return_code })?;
        answer_round_trip::<ROpenServiceW>(HandleAnswer { handle, return_code })?;
        answer_round_trip::<RCreateServiceW>(CreateServiceAnswer { tag_id: optional, handle, return_code })?;
        answer_round_trip::<RQueryServiceStatus>(ServiceStatusAnswer { status, return_code })?;
        answer_round_trip::<RQueryServiceStatusEx>(ServiceStatusProcessAnswer {
            status: ServiceStatusProcess { status, process_id, service_flags },
            bytes_needed,
            return_code,
        })?;
        answer_round_trip::<REnumServicesStatusW>(EnumServicesStatusAnswer {
            services,
            bytes_needed,
            resume_index: optional,
            return_code,
        })?;
    }

    #[test]
    fn any_stub_is_decoded_without_panic(words in vec(prop_oneof![0u32..100, any::<u32>()], 0..60), odd in vec(any::<u8>(), 0..4)) {
        let mut bytes: Vec<u8> = words.into_iter().flat_map(u32::to_le_bytes).collect();
        bytes.extend(odd);
        decode_anything::<RCloseServiceHandle>(&bytes)?;
        decode_anything::<RControlService>(&bytes)?;
        decode_anything::<RDeleteService>(&bytes)?;
        decode_anything::<RQueryServiceStatus>(&bytes)?;
        decode_anything::<RCreateServiceW>(&bytes)?;
        decode_anything::<REnumServicesStatusW>(&bytes)?;
        decode_anything::<ROpenSCManagerW>(&bytes)?;
        decode_anything::<ROpenServiceW>(&bytes)?;
        decode_anything::<RStartServiceW>(&bytes)?;
        decode_anything::<RChangeServiceConfig2W>(&bytes)?;
        decode_anything::<RQueryServiceStatusEx>(&bytes)?;
    }
}
