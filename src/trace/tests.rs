use std::io::Cursor;

use simulator::{
    Options, Replay,
    scenario::Scenario,
    trace::{Header, Outcome},
};

use super::{HEAD, Lines, Writer};

/// A small trace, packed or not.
fn written(is_packed: bool) -> Vec<u8> {
    let text = "schema = 1\nname = \"one\"\nabout = \"x\"\n[users]\ncount = 1\ntabs = { 2 = 1 }\n\
                [session]\nmessages = 1\n[agent]\ntools_per_run = { 1 = 1 }\nthinking = 1\n";
    let scenario = Scenario::parse("one", text).expect("valid");
    let mut writer = Writer::new(Vec::new(), is_packed);
    writer.header(&Header::new(&scenario, 1)).expect("memory");
    let mut take = |line: &str| writer.line(line).is_ok();
    let options = Options { trace: Some(&mut take), ..Options::default() };
    let report = simulator::simulate(&scenario, 1, options).expect("valid");
    writer.end(&report.hash.expect("a hash")).expect("memory")
}

fn lines(bytes: &[u8], is_packed: bool) -> Lines<Cursor<&[u8]>> {
    Lines::new(Cursor::new(bytes), is_packed)
}

/// What is said of a trace; nothing, if it is as it was written.
fn told(bytes: &[u8]) -> Option<String> {
    let opened = simulator::trace::Recorded::open(lines(bytes, true));
    let mut recorded = match opened {
        Ok((recorded, ..)) => recorded,
        Err(error) => return Some(error.to_string()),
    };
    (&mut recorded).for_each(drop);
    recorded.flaw().map(ToString::to_string)
}

#[test]
fn a_packed_trace_is_the_same_lines_and_a_gzip_file() {
    let (plain, packed) = (written(false), written(true));
    let of = |bytes: &[u8], is_packed| {
        lines(bytes, is_packed).map(|line| line.expect("whole")).collect::<Vec<_>>()
    };
    assert_eq!(of(&packed, true).concat(), plain);
    assert_eq!(of(&plain, false).concat(), plain);
    let mut unpacked = Vec::new();
    let mut gzip = flate2::read::MultiGzDecoder::new(&packed[..]);
    std::io::Read::read_to_end(&mut gzip, &mut unpacked).expect("gzip");
    assert_eq!(unpacked, plain);
    assert!(packed.len() * 2 < plain.len(), "{} of {}", packed.len(), plain.len());
    let Replay { outcome, .. } = simulator::replay(lines(&packed, true), None).expect("ours");
    assert_eq!(outcome, Outcome::Same);
}

/// Every bit of every byte of the file: gzip's head, our field, the packed data with its padding, gzip's checksum.
#[test]
fn no_flipped_bit_of_a_packed_trace_passes() {
    let mut packed = written(true);
    assert_eq!(told(&packed), None);
    for at in 0..packed.len() {
        let bits = if at < 64 || at + 64 > packed.len() { 0..8 } else { at as u32 % 8..at as u32 % 8 + 1 };
        for bit in bits {
            packed[at] ^= 1 << bit;
            let told = told(&packed).unwrap_or_else(|| panic!("bit {bit} of byte {at} passed"));
            assert!(told.contains("line ") || told.contains("bytes "), "{told}");
            packed[at] ^= 1 << bit;
        }
    }
}

#[test]
fn a_packed_trace_that_is_cut_off_or_goes_on_says_so() {
    let packed = written(true);
    for length in [1, HEAD.len(), HEAD.len() + 3, 40, packed.len() / 2, packed.len() - 1] {
        let told = told(&packed[..length]).expect("a trace without its end passed");
        assert!(told.contains("cut off"), "{length}: {told}");
    }
    for more in [&b"\n"[..], &packed, &packed[..20]] {
        assert!(told(&[&packed, more].concat()).is_some());
    }
}
