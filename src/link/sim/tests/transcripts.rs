//! The exchanges recorded with the real loader of the BK7231T, sent to the simulated one: every answer byte for byte.

use sha2::{Digest, Sha256};

use super::*;
use crate::link::contract::WireKind;

/// One request and all answers to it.
#[derive(Default)]
struct Exchange {
    request: Vec<u8>,
    answer: Vec<Expected>,
}

/// Bytes, or a block of data known by its hash.
enum Expected {
    Bytes(Vec<u8>),
    Hash(String),
}

const BLOCK: usize = 4096;

/// Reads the notation that the head of each file explains.
fn exchanges(text: &str) -> Vec<Exchange> {
    let mut all: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        let (mark, rest) = line.split_at(line.len().min(2));
        let (hex, hash) = match rest.split_once('+') {
            Some((hex, tail)) => (hex, Some(tail.rsplit(' ').next().unwrap().to_owned())),
            None => (rest, None),
        };
        let bytes = || hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect::<Vec<u8>>();
        match mark {
            "> " => {
                let mut request = bytes();
                request.extend(hash.iter().flat_map(|hash| data_with(hash)));
                all.push(Exchange { request, answer: Vec::new() });
            }
            "< " if rest.starts_with('(') => (),
            "< " => {
                let answer = &mut all.last_mut().unwrap().answer;
                answer.push(Expected::Bytes(bytes()));
                answer.extend(hash.map(Expected::Hash));
            }
            _ => (),
        }
    }
    all
}

fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The data a file describes in words only.
fn data_with(wanted: &str) -> Vec<u8> {
    let ramp = |factor: usize, add: usize| (0..6000).map(move |i| (factor * i + add) as u8);
    let padded = |mut data: Vec<u8>| {
        data.resize(BLOCK, 0xFF);
        data
    };
    let candidates = [
        ramp(7, 3).take(BLOCK).collect(),
        ramp(13, 5).take(BLOCK).collect(),
        padded(ramp(13, 5).skip(BLOCK).collect()),
    ];
    candidates.into_iter().find(|data: &Vec<u8>| hash(data) == wanted).expect("data of a known shape")
}

fn replay(text: &str) {
    let Some(image) = sample("dumps/ds-101jl-4gang-switch-t.bin") else { return };
    let setup = Setup::new("wb2s").unwrap().wire(WireKind::Uart).image(image).part("1c7015").unwrap();
    let module = Module::new(setup.status([0x7C, 0, 0])).unwrap();
    let mut port = Port::at(module.link());
    port.link();
    let all = exchanges(text);
    assert!(all.len() > 10);
    for (index, exchange) in all.iter().enumerate() {
        port.serial.send(&exchange.request).unwrap();
        if exchange.request.get(4) == Some(&0x0F) {
            port.clock.sleep(Duration::from_millis(10));
            let rate = u32::from_le_bytes(exchange.request[5..9].try_into().unwrap());
            port.serial.set_baud(rate).unwrap();
        }
        let wait = if exchange.answer.is_empty() { 300 } else { 1000 };
        let answer = port.hear(Duration::from_millis(wait));
        let mut rest = answer.as_slice();
        for expected in &exchange.answer {
            let len = match expected {
                Expected::Bytes(bytes) => bytes.len(),
                Expected::Hash(_) => BLOCK,
            };
            assert!(rest.len() >= len, "exchange {index}: only {} bytes left of {}", rest.len(), answer.len());
            let (piece, more) = rest.split_at(len);
            match expected {
                Expected::Bytes(bytes) => assert_eq!(piece, bytes, "exchange {index}"),
                Expected::Hash(wanted) => assert_eq!(&hash(piece), wanted, "exchange {index}"),
            }
            rest = more;
        }
        assert!(rest.is_empty(), "exchange {index}: {} bytes too many", rest.len());
    }
}

#[test]
fn the_simulated_loader_answers_as_the_real_one() {
    replay(include_str!("../../../../tests/transcripts/bk7231t-loader-1.0.5.txt"));
}

#[test]
fn a_host_tool_writes_as_it_did_with_the_real_loader() {
    replay(include_str!("../../../../tests/transcripts/bk7231tools-writes-to-bk7231t-loader.txt"));
}
