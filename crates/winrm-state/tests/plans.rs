//! Tasks on hosts, row by row: what the guide does by hand, and what is refused before anything is changed.
use serde_json::{Value, json};
use winrm_state::{
    Action, Address, Binding, Certificate, Configured, Desired, FirewallRule, Listener, Network,
    NetworkCategory, Pfx, Plan, Service, ServiceStart, Source, State, TakenPort, Thumbprint, Transport,
    WindowsVersion, read_configuration,
};

const NOW: i64 = 1_800_000_000;
const DAY: i64 = 86_400;
const GOOD: &str = "00112233445566778899AABBCCDDEEFF00112233";

/// A Server as it comes: WinRM runs, with its listener for HTTP.
fn server() -> State {
    let service = "<Service><MaxConcurrentOperations>4294967295</MaxConcurrentOperations><MaxConnections>300</MaxConnections>\
        <AllowUnencrypted>false</AllowUnencrypted><CertificateThumbprint/><AllowRemoteAccess>true</AllowRemoteAccess>\
        <Auth><Basic>false</Basic><CredSSP>false</CredSSP><CbtHardeningLevel>Relaxed</CbtHardeningLevel></Auth></Service>";
    let winrs = "<Winrs><IdleTimeout>7200000</IdleTimeout><MaxShellRunTime>2147483647</MaxShellRunTime>\
        <MaxMemoryPerShellMB>2147483647</MaxMemoryPerShellMB></Winrs>";
    let mut configuration = read_configuration(service).expect("as the test has it");
    configuration.extend(read_configuration(winrs).expect("as the test has it"));
    State {
        windows: Some(WindowsVersion::Windows8),
        service: Some(Service { running: true, start: ServiceStart::Automatic }),
        listeners: vec![Listener::new(Address::any(), Transport::Http)],
        configuration,
        certificates: vec![certificate()],
        addresses: vec![
            Address::parse("IP:10.0.0.1").expect("as the test has it"),
            Address::parse("IP:fe80::1").expect("as the test has it"),
        ],
        host_names: vec!["web1.example.org".into(), "WEB1".into()],
        networks: vec![Network { name: "Network 2".into(), category: NetworkCategory::Domain }],
        now: NOW,
        ..State::default()
    }
}

/// A client as it comes: WinRM is stopped and has no listener.
fn client() -> State {
    State {
        service: Some(Service { running: false, start: ServiceStart::Manual }),
        listeners: Vec::new(),
        configuration: winrm_state::configuration_from_registry(&[], Some(WindowsVersion::Windows8)),
        ..server()
    }
}

fn certificate() -> Certificate {
    Certificate {
        thumbprint: Thumbprint::parse(GOOD).expect("as the test has it"),
        subject: "web1.example.org".into(),
        names: vec!["web1".into()],
        not_before: NOW - DAY,
        not_after: NOW + 100 * DAY,
        has_private_key: true,
        server_authentication: true,
        made_by_us: false,
    }
}

fn https(state: &mut State) -> &mut Listener {
    let mut listener = Listener::new(Address::any(), Transport::Https);
    listener.certificate_thumbprint = Thumbprint::parse(GOOD);
    state.listeners.push(listener);
    state.listeners.last_mut().expect("as the test has it")
}

fn plan(state: &State, desired: Value) -> Plan {
    Plan::new(state, &task(desired)).expect("as the test has it")
}

fn refused(state: &State, desired: Value) -> String {
    Plan::new(state, &task(desired)).expect_err("it is to be refused").to_string()
}

fn task(desired: Value) -> Desired {
    serde_json::from_value(desired).expect("as the test has it")
}

fn present(values: Value) -> Value {
    let mut listener = json!({"address": "*", "transport": "https"});
    listener
        .as_object_mut()
        .expect("as the test has it")
        .extend(values.as_object().expect("as the test has it").clone());
    json!({"listener": {"present": listener}})
}

fn absent(values: Value) -> Value {
    json!({"listener": {"absent": values}})
}

fn settings(values: Value) -> Value {
    json!({"settings": values})
}

fn done(plan: &Plan) -> Vec<String> {
    plan.actions.iter().map(Action::to_string).collect()
}

fn body(action: &Action) -> String {
    let made = Thumbprint::parse(GOOD);
    let body = action.request(made.as_ref()).expect("as the test has it").body.expect("as the test has it");
    body.split_once('>')
        .expect("as the test has it")
        .1
        .rsplit_once("</")
        .expect("as the test has it")
        .0
        .replace("cfg:", "")
}

#[test]
fn a_bootstrap_starts_makes_and_opens_in_this_order() {
    let bootstrap = json!({
        "listener": {"present": {"address": "*", "transport": "https", "certificate": {"generate": {}}}},
        "service": {"running": true, "start": "delayed"},
        "firewall": true,
        "local_account_token_filter_policy": true,
    });
    let plan = plan(&client(), bootstrap);
    assert_eq!(
        done(&plan),
        [
            "set the start of WinRM to delayed",
            "start WinRM",
            "make a certificate for web1.example.org",
            "create the listener *+HTTPS",
            "add the firewall rule native.windows.winrm-5986",
            "set LocalAccountTokenFilterPolicy to 1",
        ]
    );
    assert_eq!(body(&plan.actions[3]), format!("<CertificateThumbprint>{GOOD}</CertificateThumbprint>"));
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn a_listener_for_https_is_made_as_the_guide_makes_it() {
    let pasted = "\u{200e}00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff 00 11 22 33";
    let wish = present(json!({"certificate": {"thumbprint": pasted}, "hostname": "WEB1"}));
    let plan = plan(&server(), wish.clone());
    assert_eq!(done(&plan), ["create the listener *+HTTPS"]);
    let elements = format!("<Hostname>WEB1</Hostname><CertificateThumbprint>{GOOD}</CertificateThumbprint>");
    assert_eq!(body(&plan.actions[0]), elements);
    let mut there = server();
    https(&mut there).hostname = "web1".into();
    assert_eq!(Plan::new(&there, &task(wish)).unwrap(), Plan::default());
}

#[test]
fn a_new_name_goes_with_the_certificate() {
    let mut state = server();
    https(&mut state);
    let changed = plan(&state, present(json!({"hostname": "web1", "port": 5999})));
    let elements = format!(
        "<Port>5999</Port><Hostname>web1</Hostname><CertificateThumbprint>{GOOD}</CertificateThumbprint>"
    );
    assert_eq!(body(&changed.actions[0]), elements);
    let changed = plan(&state, present(json!({"port": 5999, "enabled": false, "url_prefix": "other"})));
    assert_eq!(
        body(&changed.actions[0]),
        "<Port>5999</Port><Enabled>false</Enabled><URLPrefix>other</URLPrefix>"
    );
}

#[test]
fn listeners_are_removed_as_the_guide_removes_them() {
    let mut state = server();
    https(&mut state);
    let all = plan(&state, absent(json!({})));
    assert_eq!(done(&all), ["remove the listener *+HTTP", "remove the listener *+HTTPS"]);
    let https = plan(&state, absent(json!({"transport": "https"})));
    assert_eq!(done(&https), ["remove the listener *+HTTPS"]);
    assert_eq!(plan(&state, absent(json!({"address": "IP:10.0.0.1"}))), Plan::default());
}

#[test]
fn what_tasks_have_made_goes_with_the_listener_if_asked() {
    let mut state = server();
    https(&mut state);
    state.certificates[0].made_by_us = true;
    state.certificates.push(Certificate { thumbprint: Thumbprint::read("AA").unwrap(), ..certificate() });
    let of_service = Certificate {
        thumbprint: Thumbprint::parse(&"C".repeat(40)).unwrap(),
        ..state.certificates[0].clone()
    };
    let used =
        Configured { value: winrm_state::Value::Text(of_service.thumbprint.to_string()), source: None };
    state.configuration.insert("certificate_thumbprint".into(), used);
    state.certificates.push(of_service);
    state.firewall_rules = vec![FirewallRule::ours(5985), FirewallRule::ours(5986)];
    let mut task = absent(json!({"transport": "https"}));
    assert_eq!(done(&plan(&state, task.clone())), ["remove the listener *+HTTPS"]);
    task["firewall"] = json!(false);
    task["remove_made_certificates"] = json!(true);
    let removed = plan(&state, task);
    let certificate = format!("remove the certificate {GOOD}");
    assert_eq!(
        done(&removed),
        ["remove the listener *+HTTPS", "remove the firewall rule native.windows.winrm-5986", &certificate]
    );
}

#[test]
fn a_certificate_that_ends_soon_is_replaced_and_the_listener_with_it() {
    let wish = |before: u32| present(json!({"certificate": {"generate": {"renew_before_days": before}}}));
    let mut state = server();
    https(&mut state);
    state.certificates[0] =
        Certificate { made_by_us: true, names: state.host_names.clone(), ..certificate() };
    assert_eq!(plan(&state, wish(30)), Plan::default());
    let replaced = plan(&state, wish(100));
    assert_eq!(done(&replaced), ["make a certificate for web1.example.org", "change the listener *+HTTPS"]);
    // One that ends later would do, too, but the listener has one that does.
    let later = Certificate {
        thumbprint: Thumbprint::parse(&"A".repeat(40)).unwrap(),
        ..state.certificates[0].clone()
    };
    state.certificates.push(Certificate { not_after: NOW + 500 * DAY, ..later });
    assert_eq!(plan(&state, wish(30)), Plan::default());
    assert_eq!(done(&plan(&state, wish(100))), ["change the listener *+HTTPS"]);
    state.certificates.pop();
    // Nobody else's certificate is taken for one of ours.
    state.certificates[0].made_by_us = false;
    assert_eq!(plan(&state, wish(30)).actions.len(), 2);
}

#[test]
fn settings_are_put_to_their_resources() {
    let wish = json!({
        "credssp": "True", "basic": false, "CbtHardeningLevel": "strict", "max_connections": "0100",
        "idle_timeout": 7_200_000, "MaxMemoryPerShellMB": 512, "max_shell_run_time": "2147483647",
    });
    let plan = plan(&server(), settings(wish));
    assert_eq!(
        done(&plan),
        [
            "set of Service: max_connections to 100",
            r"set of Service\Auth: cbt_hardening_level to Strict, credssp to true",
            "set of Winrs: max_memory_per_shell_mb to 512",
        ]
    );
    assert_eq!(
        body(&plan.actions[1]),
        "<CredSSP>true</CredSSP><CbtHardeningLevel>Strict</CbtHardeningLevel>"
    );
    assert!(plan.warnings[0].contains("1024 MB"), "{:?}", plan.warnings);
    assert!(plan.warnings[1].contains("psrp"), "{:?}", plan.warnings);
}

#[test]
fn what_a_policy_holds_is_fine_or_refused_or_warned_of() {
    let mut state = server();
    let held = Configured { value: winrm_state::Value::Boolean(true), source: Some(Source::Gpo) };
    state.configuration.insert("basic".into(), held.clone());
    state
        .configuration
        .insert("max_connections".into(), Configured { value: winrm_state::Value::Number(9), ..held });
    assert_eq!(plan(&state, settings(json!({"basic": "True", "max_connections": "9"}))), Plan::default());
    let other = json!({"basic": false, "credssp": true});
    let policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service\AllowBasic";
    let refusal = refused(&state, settings(other.clone()));
    assert!(refusal.starts_with(&format!("basic is to be false, and the policy {policy} holds it at true")));
    assert!(
        refused(&state, settings(json!({"max_connections": 8}))).contains("a group policy holds it at 9")
    );
    let warned = plan(&state, json!({"settings": other, "on_policy": "warn"}));
    assert_eq!(done(&warned), [r"set of Service\Auth: credssp to true"]);
    assert!(warned.warnings[0].contains(policy));
}

#[test]
fn a_listener_of_a_policy_stays() {
    let mut state = server();
    state.listeners[0].source = Some(Source::Gpo);
    let policy = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\WinRM\Service\AllowAutoConfig";
    let all = plan(&state, absent(json!({})));
    assert_eq!(all.actions, []);
    assert!(all.warnings[0].contains(policy), "{:?}", all.warnings);
    assert!(refused(&state, absent(json!({"transport": "http"}))).contains(policy));
    let http = |port| present(json!({"transport": "http", "port": port}));
    assert_eq!(plan(&state, http(5985)), Plan::default());
    assert!(refused(&state, http(80)).contains(policy));
    let mut warned = http(80);
    warned["on_policy"] = json!("warn");
    warned["firewall"] = json!(true);
    let warned = plan(&state, warned);
    assert_eq!(done(&warned), ["add the firewall rule native.windows.winrm-5985"]);
    assert!(warned.warnings[0].contains(policy), "{:?}", warned.warnings);
}

#[test]
fn a_listener_for_old_clients_is_told_from_its_own() {
    let mut state = server();
    state.listeners[0].source = Some(Source::Compatibility);
    state.listeners[0].port = 80;
    let all = plan(&state, absent(json!({})));
    assert_eq!(all.actions, []);
    assert!(all.warnings[0].contains("enable_compatibility_http_listener: false"), "{:?}", all.warnings);
    let created = plan(&state, present(json!({"transport": "http"})));
    assert_eq!(done(&created), ["create the listener *+HTTP"]);
}

#[test]
fn a_firewall_that_is_open_is_left_alone() {
    let mut state = server();
    let mut wish = present(json!({"transport": "http"}));
    wish["firewall"] = json!(true);
    let windows =
        FirewallRule { name: "Windows-Remoteverwaltung".into(), profiles: 3, ..FirewallRule::ours(5985) };
    state.firewall_rules = vec![windows];
    assert_eq!(plan(&state, wish.clone()), Plan::default());
    state.networks[0].category = NetworkCategory::Public;
    let opened = plan(&state, wish.clone());
    assert_eq!(done(&opened), ["add the firewall rule native.windows.winrm-5985"]);
    assert_eq!(opened.warnings, ["The network Network 2 is public, and whoever is there gets to port 5985"]);
    let blocks = FirewallRule { name: "No WinRM".into(), allows: false, ..FirewallRule::ours(5985) };
    state.firewall_rules = vec![blocks, FirewallRule::ours(5985)];
    let blocked = plan(&state, wish);
    assert_eq!(blocked.actions, []);
    assert!(blocked.warnings[0].contains("No WinRM"), "{:?}", blocked.warnings);
}

#[test]
fn bad_listeners_are_refused() {
    let state = server();
    let certificate = json!({"thumbprint": GOOD});
    for (wish, said) in [
        (json!({"transport": "http", "certificate": certificate}), "A listener for HTTP has no certificate"),
        (json!({}), "needs a certificate, and * has none yet"),
        (
            json!({"certificate": {"thumbprint": GOOD, "pfx": true, "generate": {}}}),
            "several: thumbprint, pfx, generate",
        ),
        (json!({"certificate": {}}), "certificate says nothing"),
        (json!({"certificate": {"thumbprint": "0011"}}), "certificate.thumbprint takes a thumbprint, 40 hex"),
        (json!({"certificate": {"thumbprint": "f".repeat(40)}}), "not in the host's store LocalMachine\\My"),
        (
            json!({"certificate": certificate, "hostname": "web2"}),
            "is for web1.example.org, web1: WinRM takes a name",
        ),
        (
            json!({"certificate": certificate, "address": "IP:10.9.9.9"}),
            "has not got. It has IP:10.0.0.1, IP:fe80::1",
        ),
        (json!({"certificate": certificate, "address": "10.0.0.1"}), "address takes *, IP:10.0.0.1"),
        (json!({"certificate": certificate, "port": 0}), "port takes numbers from 1 to 65535, not 0"),
        (
            json!({"certificate": certificate, "port": 5985}),
            "port is 5985, which the listener *+HTTP has already",
        ),
        (
            json!({"certificate": certificate, "url_prefix": "/wsman"}),
            "without a slash at either end, not /wsman",
        ),
        (json!({"certificate": certificate, "hostname": "web 1"}), "hostname takes the name of a host"),
        (json!({"certificate": {"pfx": true}}), "certificate.pfx has no certificate with a private key"),
        (json!({"certificate": {"generate": {"days": 0}}}), "certificate.generate.days takes numbers from 1"),
        (json!({"certificate": {"generate": {"days": 30}}}), "Set renew_before_days below days"),
        (
            json!({"certificate": {"generate": {"names": ["a b"]}}}),
            "certificate.generate.names takes the name of",
        ),
        (
            json!({"certificate": {"generate": {"subject": "a".repeat(65)}}}),
            "takes up to 64 letters, not aaa",
        ),
        (json!({"certificate": {"generate": {"names": ["web2"]}}, "hostname": "web1"}), "hostname is web1"),
    ] {
        let refused = refused(&state, present(wish));
        assert!(refused.contains(said), "{refused:?} does not say {said:?}");
    }
}

#[test]
fn certificates_that_do_not_serve_are_refused() {
    let wish = present(json!({"certificate": {"thumbprint": GOOD}}));
    for (certificate, said) in [
        (Certificate { not_after: NOW - 3 * DAY, ..certificate() }, "has ended 3 days ago"),
        (Certificate { not_before: NOW + 3 * DAY, ..certificate() }, "is valid in 4 days only"),
        (Certificate { has_private_key: false, ..certificate() }, "has no private key"),
        (Certificate { server_authentication: false, ..certificate() }, "not for server authentication"),
    ] {
        let state = State { certificates: vec![certificate.clone()], ..server() };
        assert!(refused(&state, wish.clone()).contains(said));
        assert!(refused(&state, settings(json!({"certificate_thumbprint": GOOD}))).contains(said));
        let state = State { pfx: Some(Pfx::Certificate(certificate)), ..server() };
        assert!(refused(&state, present(json!({"certificate": {"pfx": true}}))).contains(said));
    }
    let state = State { pfx: Some(Pfx::WrongPassword), ..server() };
    assert!(refused(&state, present(json!({"certificate": {"pfx": true}}))).contains("with this password"));
    let missing = settings(json!({"certificate_thumbprint": "f".repeat(40)}));
    assert!(refused(&server(), missing).starts_with("certificate_thumbprint is FFFF"));
}

#[test]
fn a_port_that_another_has_is_refused() {
    let wish = present(json!({"certificate": {"thumbprint": GOOD}, "port": 8443}));
    let taken = TakenPort { port: 8443, owner: "java.exe".into() };
    let state = State { taken_ports: vec![taken], ..server() };
    assert!(refused(&state, wish.clone()).contains("java.exe has already"));
    let binding = |thumbprint| Binding { port: 8443, thumbprint };
    let state = State { bindings: vec![binding(Thumbprint::read("AB").unwrap())], ..server() };
    assert!(refused(&state, wish.clone()).contains("the certificate AB"));
    let mut there = state.clone();
    https(&mut there);
    assert!(refused(&there, present(json!({"port": 8443}))).contains("the certificate AB"));
    let state = State { bindings: vec![binding(Thumbprint::parse(GOOD).unwrap())], ..server() };
    assert_eq!(plan(&state, wish).actions.len(), 1);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let state = server();
    for (wish, said) in [
        (json!({"max_conections": 1}), "max_conections is no setting of WinRM"),
        (json!({"max_connections": "many"}), "max_connections takes a whole number, not many"),
        (json!({"max_connections": 513}), "max_connections takes numbers from 1 to 512, not 513"),
        (json!({"basic": true, "Basic": true}), "basic and Basic are one setting"),
        (
            json!({"max_shell_run_time": 1000}),
            "max_shell_run_time cannot be 1000, as the host has 2147483647: WinRM has",
        ),
        (json!({"MaxConcurrentOperations": 10}), "max_concurrent_operations_per_user is what it looks at"),
        (json!({"allow_remote_access": false}), "allow_remote_access cannot be false"),
        (json!({"root_sddl": "O:NS"}), "The WinRM of this host has no root_sddl"),
    ] {
        let refused = refused(&state, settings(wish));
        assert!(refused.contains(said), "{refused:?} does not say {said:?}");
    }
    let windows_7 = State { windows: Some(WindowsVersion::Windows7), ..server() };
    assert!(refused(&windows_7, settings(json!({"max_connections": 51}))).contains("from 1 to 50"));
}

#[test]
fn a_service_that_is_not_there_or_not_running_is_said() {
    let create = present(json!({"certificate": {"thumbprint": GOOD}}));
    assert!(refused(&State { service: None, ..server() }, create.clone()).contains("no service WinRM"));
    assert!(refused(&client(), create.clone()).contains("The service WinRM is stopped"));
    let service = |running, start| State { service: Some(Service { running, start }), ..client() };
    let disabled = service(false, ServiceStart::Disabled);
    assert!(refused(&disabled, create.clone()).contains("The service WinRM is disabled"));
    let start = json!({"service": {"running": true}});
    assert!(refused(&disabled, start).contains("The service WinRM is disabled"));
    let both = json!({"service": {"running": true, "start": "disabled"}});
    assert!(refused(&disabled, both).contains("A disabled service cannot be started"));
    let enabled = json!({"service": {"running": true, "start": "automatic"}});
    assert_eq!(done(&plan(&disabled, enabled)), ["set the start of WinRM to automatic", "start WinRM"]);
    // Nothing to do is nothing to run for.
    assert_eq!(plan(&disabled, absent(json!({}))), Plan::default());
    assert_eq!(plan(&disabled, settings(json!({"basic": false, "max_connections": 300}))), Plan::default());
    let stopped = json!({"service": {"running": false}, "settings": {"idle_timeout": 60_000}});
    assert!(refused(&server(), stopped).contains("idle_timeout can be read only while WinRM runs"));
    let mut away = absent(json!({}));
    away["service"] = json!({"running": false, "start": "disabled"});
    assert_eq!(
        done(&plan(&server(), away)),
        ["remove the listener *+HTTP", "stop WinRM", "set the start of WinRM to disabled"]
    );
}
