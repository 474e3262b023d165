//! What an agent says of its host, and what a task wants, in two lines of JSON.
#![no_main]
use libfuzzer_sys::fuzz_target;
use winrm_state::{Desired, Difference, Plan, State};

fuzz_target!(|json: &str| {
    let (state, desired) = json.split_once('\n').unwrap_or((json, "{}"));
    let Ok(state) = serde_json::from_str::<State>(state) else { return };
    let Ok(desired) = serde_json::from_str::<Desired>(desired) else { return };
    match Plan::new(&state, &desired) {
        Ok(plan) => {
            let foreseen = plan.foreseen(&state);
            Difference::between(&state, &foreseen);
            for action in &plan.actions {
                action.request(None);
            }
        }
        Err(refusal) => assert!(!refusal.to_string().is_empty()),
    }
});
