//! What holds for every host and every task, and for every input.
mod simulated;

use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::json;
use simulated::{Host, listener_of};
use winrm_state::{
    Action, Address, AnswerError, Certificate, CertificateWish, Desired, Difference, FirewallRule,
    GenerateWish, ListenerWish, Network, NetworkCategory, OnPolicy, Pfx, Plan, PresentListener, Refusal,
    SETTINGS, Service, ServiceStart, ServiceWish, Setting, State, Thumbprint, Transport, WindowsVersion,
    read_configuration, read_fault, read_listeners, whole,
};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;
const HELD: [&str; 3] = [r"Service\Auth\Basic", r"Winrs\IdleTimeout", r"Service\AllowUnencrypted"];

fn thumbprint(last: u8) -> Thumbprint {
    Thumbprint::parse(&format!("{last:040x}")).expect("as the test has it")
}

fn certificate(last: u8, name: &str, days: i64, made_by_us: bool) -> Certificate {
    Certificate {
        thumbprint: thumbprint(last),
        subject: name.to_owned(),
        names: vec![name.to_owned(), "web1.example.org".to_owned()],
        not_before: NOW - 1000 * DAY,
        not_after: NOW + days * DAY,
        has_private_key: true,
        server_authentication: true,
        made_by_us,
    }
}

fn certificates() -> Vec<Certificate> {
    vec![
        certificate(1, "web1", 300, true),
        certificate(2, "*.example.org", 300, false),
        certificate(3, "web1", 3, true),
        certificate(4, "web1", -3, false),
    ]
}

fn start() -> impl Strategy<Value = ServiceStart> {
    use ServiceStart::{Automatic, Delayed, Disabled, Manual};
    select(vec![Automatic, Automatic, Delayed, Delayed, Manual, Manual, Disabled])
}

fn listeners() -> impl Strategy<Value = Vec<(bool, u8, bool)>> {
    vec((any::<bool>(), 1..4_u8, any::<bool>()), 4)
}

fn host() -> impl Strategy<Value = Host> {
    let texts = vec(any::<bool>(), SETTINGS.len());
    let rules = vec(select(vec![5985, 5986, 5999]), 0..3);
    let parts = (any::<[bool; 5]>(), start(), listeners(), texts, rules, option::of(1..5_u8));
    parts.prop_map(|(flags, start, listeners, texts, rules, pfx)| {
        let [running, token_filter, public, whole_only, held] = flags;
        let keys = [("*", "HTTP"), ("*", "HTTPS"), ("IP:10.0.0.1", "HTTP"), ("IP:10.0.0.1", "HTTPS")];
        let there = keys.into_iter().zip(listeners).filter(|(_, (there, ..))| *there);
        let there = there.map(|((address, transport), (_, certificate, enabled))| {
            let mut listener = listener_of(address, transport);
            listener.insert("Enabled".into(), enabled.to_string());
            if transport == "HTTPS" {
                listener.insert("CertificateThumbprint".into(), thumbprint(certificate).to_string());
            }
            listener
        });
        let settings = SETTINGS.iter().zip(texts).map(|(setting, first)| {
            let text = match setting.name {
                "root_sddl" => "O:NSG:BAD:P(A;;GA;;;BA)",
                "cbt_hardening_level" if first => "Strict",
                "max_connections" if first => "25",
                "basic" | "certificate" | "credssp" | "allow_unencrypted" if first => "True",
                _ => setting.defaults.windows_8[0],
            };
            (setting.path(), text.to_owned())
        });
        let category = if public { NetworkCategory::Public } else { NetworkCategory::Domain };
        let host_names = vec!["web1.example.org".to_owned(), "web1".to_owned()];
        let pfx = pfx.map(|last| match last {
            1 => Pfx::WrongPassword,
            2 => Pfx::Certificate(certificate(2, "*.example.org", 300, false)),
            _ => Pfx::Certificate(certificate(9, "web1", 300, false)),
        });
        Host {
            rest: State {
                windows: Some(WindowsVersion::Windows8),
                service: Some(Service { running, start }),
                certificates: certificates(),
                pfx,
                addresses: vec![Address::parse("IP:10.0.0.1").expect("as the test has it")],
                host_names,
                firewall_rules: rules.into_iter().map(FirewallRule::ours).collect(),
                networks: vec![Network { name: "Network".into(), category }],
                local_account_token_filter_policy: token_filter,
                now: NOW,
                ..State::default()
            },
            listeners: there.collect(),
            settings: settings.collect(),
            held: if held { HELD.map(str::to_owned).into() } else { Vec::new() },
            whole_only,
            made: None,
        }
    })
}

fn certificate_wish() -> impl Strategy<Value = CertificateWish> {
    let generate = |days| GenerateWish { renew_before_days: days, ..GenerateWish::default() };
    prop_oneof![
        1 => (1..4_u8).prop_map(|last| CertificateWish {
            thumbprint: Some(thumbprint(last).as_str().to_lowercase()),
            ..CertificateWish::default()
        }),
        2 => Just(CertificateWish { pfx: true, ..CertificateWish::default() }),
        4 => select(vec![1, 30, 400]).prop_map(move |days| CertificateWish {
            generate: Some(generate(days)),
            ..CertificateWish::default()
        }),
    ]
}

fn present() -> impl Strategy<Value = PresentListener> {
    let keys = (select(vec!["*", "ip:10.0.0.1"]), select(vec![Transport::Http, Transport::Https]));
    let hostnames = select(vec!["", "WEB1", "Web1", "web1.example.org", "web2.example.org"]);
    let values = (
        option::of(select(vec![5985, 5986, 5999])),
        option::of(hostnames),
        option::of(select(vec!["wsman", "other"])),
        option::of(any::<bool>()),
        option::weighted(0.9, certificate_wish()),
    );
    (keys, values).prop_map(|((address, transport), (port, hostname, url_prefix, enabled, certificate))| {
        PresentListener {
            address: address.to_owned(),
            transport,
            port,
            hostname: hostname.map(str::to_owned),
            url_prefix: url_prefix.map(str::to_owned),
            enabled,
            certificate: certificate.filter(|_| transport == Transport::Https),
        }
    })
}

fn listener_wish() -> impl Strategy<Value = ListenerWish> {
    let transport = option::of(select(vec![Transport::Http, Transport::Https]));
    prop_oneof![
        3 => present().prop_map(ListenerWish::Present),
        1 => (transport, option::of(select(vec!["*", "IP:10.0.0.1"]))).prop_map(|(transport, address)| {
            ListenerWish::Absent { transport, address: address.map(str::to_owned) }
        }),
    ]
}

fn desired() -> impl Strategy<Value = Desired> {
    let settings = select(vec![
        ("basic", json!(true)),
        ("Basic", json!("False")),
        ("allow_unencrypted", json!(1)),
        ("cbt_hardening_level", json!("strict")),
        ("max_connections", json!("0100")),
        ("enumeration_timeout_ms", json!(240_000)),
        ("ipv4_filter", json!("10.0.0.1 - 10.0.0.9")),
        ("certificate_thumbprint", json!("00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 01")),
        ("root_sddl", json!("O:NSG:BAD:P(A;;GA;;;BA)(A;;GR;;;<&>)")),
        ("idle_timeout", json!(7_200_000)),
        ("idle_timeout", json!(5)),
        ("max_memory_per_shell_mb", json!(512)),
        ("max_shell_run_time", json!(2_147_483_647)),
    ]);
    let settings = vec(settings, 0..4);
    let service = (option::weighted(0.8, prop::bool::weighted(0.8)), option::of(start()));
    let rest = (option::of(any::<bool>()), option::of(any::<bool>()), any::<bool>(), any::<bool>());
    (option::weighted(0.8, listener_wish()), settings, service, rest).prop_map(
        |(listener, settings, service, rest)| {
            let (running, start) = service;
            let (firewall, token_filter, remove_made_certificates, warn) = rest;
            Desired {
                listener,
                settings: settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
                service: ServiceWish { running, start },
                firewall,
                local_account_token_filter_policy: token_filter,
                remove_made_certificates,
                on_policy: if warn { OnPolicy::Warn } else { OnPolicy::Refuse },
            }
        },
    )
}

/// What is read when these actions are done: WinRM's own before it is stopped.
fn carry_out(host: &mut Host, actions: &[Action]) -> State {
    let mut told = None;
    for action in actions {
        if *action == Action::StopService {
            told = Some(host.read());
        }
        assert_eq!(host.perform(action), Ok(()), "{action:?}");
    }
    let mut read = host.read();
    if let Some(told) = told {
        (read.listeners, read.configuration) = (told.listeners, told.configuration);
    }
    read
}

/// With the thumbprint in it that nobody could foresee.
fn with_made(difference: &Difference, host: &Host) -> String {
    let made = host.made.as_ref().map_or(Thumbprint::NOT_YET_MADE, Thumbprint::as_str);
    serde_json::to_string(difference).expect("as the test has it").replace(Thumbprint::NOT_YET_MADE, made)
}

fn parsed(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("as the test has it")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_leads_there_and_check_mode_foresees_it(mut host in host(), desired in desired()) {
        let before = host.read();
        let Ok(plan) = Plan::new(&before, &desired) else { return Ok(()) };
        let foreseen = Difference::between(&before, &plan.foreseen(&before));
        let after = carry_out(&mut host, &plan.actions);
        let difference = Difference::between(&before, &after);
        prop_assert_eq!(parsed(&with_made(&foreseen, &host)), parsed(&with_made(&difference, &host)));
        prop_assert_eq!(difference.changed(), !plan.actions.is_empty(), "{:?}", plan.actions);
        let again = Plan::new(&host.read(), &desired);
        prop_assert_eq!(again.map(|plan| plan.actions), Ok(Vec::new()));
    }

    #[test]
    fn a_plan_that_was_cut_off_is_finished_by_the_next(
        host in host(),
        desired in desired(),
        done in 0..8_usize,
    ) {
        let Ok(plan) = Plan::new(&host.read(), &desired) else { return Ok(()) };
        let (mut whole, mut cut) = (host.clone(), host);
        carry_out(&mut whole, &plan.actions);
        carry_out(&mut cut, &plan.actions[..done.min(plan.actions.len())]);
        let rest = Plan::new(&cut.read(), &desired);
        prop_assert!(rest.is_ok(), "{rest:?}");
        carry_out(&mut cut, &rest.unwrap().actions);
        prop_assert_eq!(Difference::between(&whole.read(), &cut.read()).changed(), false);
        prop_assert_eq!(Plan::new(&cut.read(), &desired).map(|plan| plan.actions), Ok(Vec::new()));
    }

    #[test]
    fn states_tasks_and_plans_travel_as_json(host in host(), desired in desired()) {
        let state = host.read();
        let text = serde_json::to_string(&state).unwrap();
        prop_assert_eq!(&serde_json::from_str::<State>(&text).unwrap(), &state);
        let text = serde_json::to_string(&desired).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Desired>(&text).unwrap(), &desired);
        if let Ok(plan) = Plan::new(&state, &desired) {
            let text = serde_json::to_string(&plan).unwrap();
            prop_assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        }
    }

    #[test]
    fn no_answer_makes_reading_panic(bytes in vec(any::<u8>(), 0..300)) {
        read_everything(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_xml_makes_reading_panic(
        parts in vec(select(vec![
            "<Listener>", "</Listener>", "<Results>", "</Results>", "<Address>", "</Address>", "*", "IP:", "+", "&lt;",
            "<Transport>HTTP</Transport>", "<Port>", "</Port>", "5985", "-1", "<Service>", "</Service>", "<Auth>",
            "</Auth>", "<Basic Source='GPO'/>", "<WSManFault Code='1'>", "<![CDATA[", "]]>", "<!--", "-->", "\u{200e}",
        ]), 0..30),
    ) {
        read_everything(&parts.concat());
    }

    #[test]
    fn no_json_makes_planning_panic(host in host(), texts in vec(".{0,12}", 4), port in any::<i64>()) {
        let state = host.read();
        let [address, hostname, url_prefix, value] = texts.try_into().unwrap();
        let listener = PresentListener {
            address,
            transport: Transport::Https,
            port: Some(port),
            hostname: Some(hostname),
            url_prefix: Some(url_prefix),
            enabled: None,
            certificate: Some(CertificateWish { thumbprint: Some(value.clone()), ..CertificateWish::default() }),
        };
        let wished = Desired { listener: Some(ListenerWish::Present(listener)), ..Desired::default() };
        prop_assert!(Plan::new(&state, &wished).is_err());
        for setting in SETTINGS {
            let settings = [(setting.name.to_owned(), json!(value))].into();
            let refusal = Plan::new(&state, &Desired { settings, ..Desired::default() }).err();
            let unnamed = refusal.filter(|refusal| {
                *refusal != Refusal::ServiceStopped
                    && *refusal != Refusal::ServiceDisabled
                    && !refusal.to_string().contains(setting.name)
            });
            prop_assert_eq!(unnamed, None);
        }
    }
}

fn read_everything(xml: &str) {
    let _ = read_fault(xml);
    for listener in read_listeners(xml).unwrap_or_default() {
        assert_eq!(Address::from(listener.address.as_str().to_owned()), listener.address);
    }
    for (name, configured) in read_configuration(xml).unwrap_or_default() {
        let setting = Setting::by_name(&name).expect("only settings are read");
        assert_eq!(setting.read(&configured.value.to_string()), configured.value);
    }
    if let Ok(changed) = whole(xml, xml) {
        assert!(!matches!(read_listeners(&changed), Err(AnswerError::NotXml { .. })), "{changed}");
    }
}
