//! Any text as the configuration file: no panic; what is accepted is accepted again and gives the same, and what is refused is refused
//! with a sentence.
#![no_main]

use flumen_server::config::{ConfigFlags, ServerConfig};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let read = || ServerConfig::from_parts(Some(text), Vec::new(), &ConfigFlags::default());
    match read() {
        Ok(config) => {
            assert!(!config.listeners.is_empty(), "there is always a listener");
            let again = read().expect("what was accepted is accepted again");
            assert_eq!(again.fixed, config.fixed);
        }
        Err(faults) => assert!(!faults.to_string().is_empty(), "a refusal says why"),
    }
});
