//! Exchanges with a real BK7231T loader (tests/transcripts): every line that goes out is made by our encoder, every
//! line that comes in is read by our decoder.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::*;

/// One line of a transcript.
struct Line {
    outgoing: bool,
    bytes: Vec<u8>,
}

/// A transcript as groups: what was sent, and what came back.
fn exchanges(name: &str) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
    let sectors = sectors();
    let mut groups: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let Line { outgoing, bytes } = parse(line, &sectors)?;
        match groups.last_mut() {
            Some((_, back)) if !outgoing => back.extend(bytes),
            _ => groups.push((bytes, Vec::new())),
        }
    }
    Some(groups)
}

fn parse(line: &str, sectors: &[Vec<u8>]) -> Option<Line> {
    let outgoing = line.starts_with('>');
    let rest = line[1..].trim();
    if rest == "(nothing)" {
        return Some(Line { outgoing, bytes: Vec::new() });
    }
    let (hex, data) = rest.split_once("+4096 bytes sha256").map_or((rest, None), |(hex, sum)| (hex, Some(sum.trim())));
    let mut bytes: Vec<u8> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    if let Some(sum) = data {
        let Some(sector) = sectors.iter().find(|sector| hash(sector) == sum) else {
            eprintln!("SKIPPED: the sector {sum} of a transcript is not here; set BKBENCH_SAMPLES");
            return None;
        };
        bytes.extend_from_slice(sector);
    }
    Some(Line { outgoing, bytes })
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn samples() -> PathBuf {
    std::env::var_os("BKBENCH_SAMPLES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from)
}

/// `7 i + 3`, as the first transcript writes it.
fn written() -> Vec<u8> {
    (0..4096_u32).map(|i| (7 * i + 3) as u8).collect()
}

/// The two sectors of `13 i + 5` that the second transcript writes, filled up with FF.
fn tool_writes() -> [Vec<u8>; 2] {
    let mut bytes: Vec<u8> = (0..6000_u32).map(|i| (13 * i + 5) as u8).collect();
    bytes.resize(8192, 0xFF);
    let second = bytes.split_off(4096);
    [bytes, second]
}

/// Every sector a transcript refers to by its hash, as far as it is at hand.
fn sectors() -> Vec<Vec<u8>> {
    let mut sectors = vec![written(), vec![0xFF; 4096]];
    sectors.extend(tool_writes());
    if let Ok(dump) = std::fs::read(samples().join("dumps/ds-101jl-4gang-switch-t.bin")) {
        sectors.extend([0, 0x1_0000, 0x1_1000, 0x1_2000].map(|at: usize| dump[at..at + 4096].to_vec()));
    }
    sectors
}

fn encoded(requests: &[Request<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    requests.iter().for_each(|request| request.encode(&mut out));
    out
}

fn replies(bytes: &[u8]) -> Vec<Reply> {
    let mut decoder = Decoder::new();
    decoder.push(bytes);
    let replies = std::iter::from_fn(|| decoder.next()).collect();
    assert_eq!((decoder.pending(), decoder.skipped()), (0, 0), "every byte belongs to a frame");
    replies
}

#[test]
fn the_recorded_exchange_with_a_bk7231t_is_ours_in_both_directions() {
    let Some(exchanges) = exchanges("bk7231t-loader-1.0.5.txt") else { return };
    let data: [u8; 4096] = written().try_into().unwrap();
    let few: Vec<u8> = (0..16).collect();
    let read = |at| Request::Read4k { at };
    let crc = |start, len| Request::Crc { start, len };
    let erase = |code, at| Request::Erase { code, at };
    let write = Request::Write4k { at: 0x1A_4000, data: &data };
    let (sector, link) = (EraseCode::Sector, Request::LinkCheck);
    let expected: Vec<(Vec<Request<'_>>, &str)> = vec![
        (vec![link], "Done"),
        (vec![Request::BootVersion], "Version(\"BK7231S_1.0.5\")"),
        (vec![crc(0, 256)], "Crc(1168850503)"),
        (vec![crc(0x1_1000, 0x1000)], "Crc(260631277)"),
        (vec![crc(0x1_1000, 0x101)], "Crc(1650618599)"),
        (vec![crc(0x1D_0000, 0x1000)], "Crc(246126837)"),
        (vec![read(0x1_1000)], "Data"),
        (vec![read(0)], "Refused(6)"),
        (vec![read(0x1_0000)], "Data"),
        (vec![read(0x20_0000)], "Data"),
        (vec![Request::FlashId], ""),
        (vec![Request::ReadReg { at: 0x0080_0000 }], ""),
        (vec![link], "Done"),
        (vec![read(0x1_1000), read(0x1_2000)], "Data"),
        (vec![], ""),
        (vec![link], "Done"),
        (vec![erase(sector, 0x1A_4000)], "Done"),
        (vec![write], "Done"),
        (vec![crc(0x1A_4000, 0x1000)], "Crc(2712790634)"),
        (vec![read(0x1A_4000)], "Data"),
        (vec![erase(sector, 0x1A_4000)], "Done"),
        (vec![read(0x1A_4000)], "Data"),
        (vec![link], "Done"),
        (vec![erase(sector, 0x1A_4000)], "Done"),
        (vec![read(0x1A_4000)], "Data"),
        (vec![erase(EraseCode::Block32k, 0x1A_8000)], "Done"),
        (vec![erase(EraseCode::Block, 0x1A_0000)], "Done"),
        (vec![Request::Write { at: 0x1A_0000, data: PageBytes::new(&few).unwrap() }], "Done"),
        (vec![Request::Reboot], ""),
    ];
    compare(&exchanges, &expected);
}

#[test]
fn what_another_tool_sends_to_that_loader_can_be_said_in_our_requests_too() {
    let Some(exchanges) = exchanges("bk7231tools-writes-to-bk7231t-loader.txt") else { return };
    let [first, second] = tool_writes().map(|sector| <[u8; 4096]>::try_from(sector).unwrap());
    let link = (vec![Request::LinkCheck], "Done");
    let erase = |at| (vec![Request::Erase { code: EraseCode::Sector, at }], "Done");
    // That tool sends the end of a range exclusively.
    let crc = |start, value| (vec![Request::Crc { start, len: 0x1001 }], value);
    let expected = vec![
        (vec![Request::SetBaud { baud: 460_800, settle_ms: 20 }], "Done"),
        (vec![Request::Crc { start: 0, len: 257 }], "Crc(1168850503)"),
        link.clone(),
        (vec![Request::BootVersion], "Version(\"BK7231S_1.0.5\")"),
        erase(0x3A_4000),
        (vec![Request::Write4k { at: 0x3A_4000, data: &first }], "Done"),
        crc(0x3A_4000, "Crc(2002804001)"),
        link.clone(),
        erase(0x3A_5000),
        (vec![Request::Write4k { at: 0x3A_5000, data: &second }], "Done"),
        crc(0x3A_5000, "Crc(425069735)"),
        link,
    ];
    compare(&exchanges, &expected);
}

fn compare(exchanges: &[(Vec<u8>, Vec<u8>)], expected: &[(Vec<Request<'_>>, &str)]) {
    assert_eq!(exchanges.len(), expected.len());
    for ((sent, back), (requests, answer)) in exchanges.iter().zip(expected) {
        // The one exchange that is not ours: a stray 01 in front of a link check.
        if !requests.is_empty() {
            assert_eq!(*sent, encoded(requests), "{requests:?}");
        }
        let replies = replies(back);
        assert_eq!(replies.len(), if answer.is_empty() { 0 } else { requests.len() }, "{requests:?}");
        for (request, reply) in requests.iter().zip(&replies) {
            let seen = request.accepts(reply);
            match &seen {
                Some(Answer::Data(data)) => assert_eq!((*answer, data.len()), ("Data", 4096), "{request:?}"),
                Some(other) => assert_eq!(format!("{other:?}"), *answer, "{request:?}"),
                None => panic!("{request:?} does not take {reply:?}"),
            }
        }
    }
}
