//! The independent peer in `tests/peer/`, a Python package that was written from `spec/` alone: it passes its own tests against
//! this program and against the published vectors, and `dddns conformance` passes it.

use std::path::Path;
use std::process::Command;

#[test]
fn a_peer_written_from_the_specification_gets_along_with_the_program() {
    let required = std::env::var_os("DDDNS_REQUIRE_TOOLS").is_some();
    let Some(python) = std::env::var_os("DDDNS_PYTHON") else {
        assert!(!required, "DDDNS_PYTHON does not name a Python that has tests/peer/peer/requirements.txt");
        eprintln!("skipped: DDDNS_PYTHON does not name a Python that has tests/peer/peer/requirements.txt");
        return;
    };
    let output = Command::new(python)
        .args(["-B", "-m", "unittest", "peer.tests", "peer.vectors"])
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peer"))
        .env("DDDNS_PROGRAM", env!("CARGO_BIN_EXE_dddns"))
        .output()
        .expect("Python");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("skipped="), "{said}");
}
