//! `oathtool` computes the same codes: V(T) is RFC 6238's value.

use std::process::Command;

use dddns::auth::drbg::Drbg;
use dddns::auth::totp::{STEP, Secret, code, value};

#[test]
fn oathtool_agrees() {
    if Command::new("oathtool").arg("--version").output().is_err() {
        assert!(std::env::var_os("DDDNS_REQUIRE_TOOLS").is_none(), "oathtool is not installed");
        eprintln!("skipped: oathtool is not installed");
        return;
    }
    let mut drbg = Drbg::new([0x6F; 32]);
    // 1970, the edges of the first steps, the last second of 32-bit time, 2106, the year 10889.
    for seconds in [0, 29, 30, 59, 1_111_111_109, 2_147_483_647, 2_147_483_648, 4_294_967_296, 281_474_976_710_655] {
        for digits in 6..=8 {
            let secret = drbg.array::<20>();
            let ours = code(&value(&Secret(secret), seconds / STEP.as_secs()), digits);
            let width = usize::try_from(digits).expect("a small number");
            assert_eq!(format!("{ours:0width$}"), oathtool(&secret, seconds, digits), "{secret:02x?} at {seconds} s");
        }
    }
}

fn oathtool(secret: &[u8], seconds: u64, digits: u32) -> String {
    let hex: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
    let output = Command::new("oathtool")
        .args(["--totp=sha1", "--digits", &digits.to_string(), "--now", &format!("@{seconds}"), &hex])
        .env("TZ", "UTC")
        .output()
        .expect("oathtool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
