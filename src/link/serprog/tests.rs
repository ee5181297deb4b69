//! The client against a script of bytes, and against a programmer made of a match statement behind a TCP port.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::rc::Rc;
use std::time::Duration;

use super::client::Client;
use super::pipe::Pipe;
use super::*;
use crate::link::SpiLink;

/// Answers exactly what is written down, and remembers everything it was sent.
struct Script {
    steps: VecDeque<(Vec<u8>, Vec<u8>)>,
    sent: Rc<RefCell<Vec<u8>>>,
    pending: Vec<u8>,
    ready: VecDeque<u8>,
}

impl Pipe for Script {
    fn send(&mut self, bytes: &[u8]) -> Result<(), LinkError> {
        self.sent.borrow_mut().extend(bytes);
        self.pending.extend(bytes);
        while let Some((question, answer)) = self.steps.front() {
            if !self.pending.starts_with(question) {
                break;
            }
            self.pending.drain(..question.len());
            self.ready.extend(answer);
            self.steps.pop_front();
        }
        Ok(())
    }

    fn receive(&mut self, into: &mut [u8]) -> Result<(), LinkError> {
        for byte in into {
            *byte = self
                .ready
                .pop_front()
                .ok_or_else(|| LinkError::Gone { name: "script".to_owned(), why: "no more bytes".to_owned() })?;
        }
        Ok(())
    }

    fn next(&mut self, _: Duration) -> Result<Option<u8>, LinkError> {
        Ok(self.ready.pop_front())
    }
}

/// Bits of the commands listed.
fn bitmap(commands: &[u8]) -> Vec<u8> {
    let mut answer = vec![0x06];
    let mut bits = [0_u8; 32];
    for command in commands {
        bits[usize::from(*command) / 8] |= 1 << (command % 8);
    }
    answer.extend(bits);
    answer
}

fn client(commands: &[u8], steps: &[(&[u8], &[u8])]) -> (Result<Client, LinkError>, Rc<RefCell<Vec<u8>>>) {
    let start: [(&[u8], &[u8]); 3] = [(&[0; 8], &[0x06; 8]), (&[0x10], &[0x15, 0x06]), (&[0x01], &[0x06, 1, 0])];
    let own = |steps: &[(&[u8], &[u8])]| steps.iter().map(|(q, a)| (q.to_vec(), a.to_vec())).collect::<Vec<_>>();
    let mut all = own(&start);
    all.push((vec![0x02], bitmap(commands)));
    all.extend(own(steps));
    let sent = Rc::new(RefCell::new(Vec::new()));
    let script = Script { steps: all.into(), sent: Rc::clone(&sent), pending: Vec::new(), ready: VecDeque::new() };
    let client = Client::start(Box::new(script), "serprog:test".to_owned());
    sent.borrow_mut().clear();
    (client, sent)
}

#[test]
fn only_listed_commands_are_used() {
    let (client, _) = client(&[0x13], &[]);
    let client = client.unwrap();
    assert_eq!(client.longest_frame(), 64 * 1024);
    assert!(client.about().contains("sets the clock by itself"), "{}", client.about());
}

#[test]
fn a_programmer_tells_its_limits_and_its_name_and_gets_its_pins_driven() {
    let steps: [(&[u8], &[u8]); 7] = [
        (&[0x05], &[0x06, 0x08]),
        (&[0x12, 0x08], &[0x06]),
        (&[0x03], b"\x06pico\x1b[31mserpro\0"),
        (&[0x04], &[0x06, 0x40, 0x00]),
        (&[0x08], &[0x06, 0x00, 0x02, 0x00]),
        (&[0x11], &[0x06, 0x00, 0x00, 0x00]),
        (&[0x15, 0x01], &[0x06]),
    ];
    let (client, _) = client(&[0x03, 0x04, 0x05, 0x08, 0x11, 0x12, 0x13, 0x14, 0x15], &steps);
    let client = client.unwrap();
    assert_eq!(client.longest_frame(), 512);
    assert!(!client.about().contains('\x1b'), "{:?}", client.about());
}

#[test]
fn a_frame_is_cut_where_its_answer_begins() {
    let steps: [(&[u8], &[u8]); 5] = [
        (&[0x13, 1, 0, 0, 3, 0, 0, 0x9F], &[0x06, 0xEB, 0x60, 0x15]),
        (&[0x13, 4, 0, 0, 2, 0, 0, 0x03, 0x00, 0x10, 0x00], &[0x06, 0xAA, 0xBB]),
        (&[0x13, 6, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0], &[0x06]),
        (&[0x13, 3, 0, 0, 0, 0, 0, 0xD2, 0xD2, 0xD2], &[0x06]),
        (&[0x13, 1, 0, 0, 0, 0, 0, 0x06, 0x13, 1, 0, 0, 1, 0, 0, 0x05], &[0x06, 0x06, 0x02]),
    ];
    let (client, sent) = client(&[0x13], &steps);
    let mut client = client.unwrap();
    let mut exchange = |frame: &[u8]| {
        let mut frame = frame.to_vec();
        client.exchange(&mut frame).map(|()| frame).unwrap()
    };
    assert_eq!(exchange(&[0x9F, 0, 0, 0]), [0xFF, 0xEB, 0x60, 0x15]);
    assert_eq!(exchange(&[0x03, 0x00, 0x10, 0x00, 0, 0])[4..], [0xAA, 0xBB], "the address is part of the question");
    assert_eq!(exchange(&[0x02, 0, 0, 0, 0, 0]), [0xFF; 6], "zeros that are programmed are sent");
    assert_eq!(exchange(&[0xD2; 3]), [0xFF; 3]);
    let (mut enable, mut look) = ([0x06], [0x05, 0x00]);
    sent.borrow_mut().clear();
    client.exchange_all(&mut [&mut enable, &mut look]).unwrap();
    assert_eq!(look[1], 0x02);
    assert_eq!(sent.borrow().len(), 16, "both operations went out before the first answer");
}

#[test]
fn a_small_buffer_is_never_overrun() {
    let operation: &[u8] = &[0x13, 1, 0, 0, 1, 0, 0, 0x05];
    let steps = [(operation, &[0x06_u8, 0x02][..]); 5];
    let (client, sent) = client(&[0x13], &steps);
    let mut frames = [[0x05, 0]; 5];
    let mut parts: Vec<&mut [u8]> = frames.iter_mut().map(|frame| &mut frame[..]).collect();
    client.unwrap().exchange_all(&mut parts).unwrap();
    assert!(frames.iter().all(|frame| frame[1] == 0x02));
    assert_eq!(sent.borrow().len(), 5 * operation.len());
}

#[test]
fn the_clock_is_the_one_the_programmer_tells() {
    let asked = 8_000_000_u32.to_le_bytes();
    let real = 6_000_000_u32.to_le_bytes();
    let question = [&[0x14][..], &asked].concat();
    let answer = [&[0x06][..], &real].concat();
    let (client, _) = client(&[0x13, 0x14], &[(&question, &answer)]);
    let mut client = client.unwrap();
    assert_eq!((client.set_clock(8_000_000).unwrap(), client.clock()), (6_000_000, 6_000_000));
    assert!(matches!(client.set_mode(3), Err(LinkError::Unsupported { .. })));
}

#[test]
fn whatever_is_no_programmer_for_spi_is_refused_by_name() {
    let refused = |(client, _): (Result<Client, LinkError>, _)| client.err().expect("refused").to_string();
    assert!(refused(client(&[0x05], &[])).contains("no command for SPI"));
    assert!(refused(client(&[0x05, 0x13], &[(&[0x05], &[0x06, 0x01])])).contains("no SPI bus"));
    assert!(refused(client(&[0x05, 0x13], &[(&[0x05], &[0x15])])).contains("refused command 05"));
    let silent = Script {
        steps: VecDeque::new(),
        sent: Rc::default(),
        pending: Vec::new(),
        ready: b"login: ".iter().copied().collect(),
    };
    let error = Client::start(Box::new(silent), "serprog:test".to_owned()).err().expect("refused");
    assert!(matches!(&error, LinkError::Programmer { why, .. } if why.contains("does not answer")), "{error}");
}

#[test]
fn links_are_read() {
    let refused = |text: &str| open(&LinkSpec::parse(text).unwrap()).err().expect("refused").to_string();
    assert!(refused("serprog:localhost:1?cen=22").contains("no line for CEN"));
    assert!(refused("serprog:localhost:http").contains("no TCP port"));
    assert!(refused("serprog:").contains("serprog:HOST:PORT"));
    assert!(refused("serprog:localhost:1?baud=fast").contains("baud"));
    assert!(refused("serprog:/dev/there-is-no-such-port").contains("does not exist"));
}

#[test]
fn a_server_is_reached_over_tcp_in_whatever_pieces_it_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut read = |len: usize| {
            let mut bytes = vec![0; len];
            stream.read_exact(&mut bytes).ok().map(|()| (bytes, stream.try_clone().unwrap()))
        };
        while let Some((command, mut stream)) = read(1) {
            let answer = match command[0] {
                0x10 => vec![0x15, 0x06],
                0x01 => vec![0x06, 1, 0],
                0x02 => bitmap(&[0x13]),
                0x13 => {
                    let (lengths, _) = read(6).unwrap();
                    read(usize::from(lengths[0])).unwrap();
                    [&[0x06][..], &vec![0xA5; usize::from(lengths[3])]].concat()
                }
                _ => vec![0x06],
            };
            for byte in answer {
                stream.write_all(&[byte]).unwrap();
            }
        }
    });
    let spec = LinkSpec::parse(&format!("serprog:127.0.0.1:{port}")).unwrap();
    let link = open(&spec).unwrap();
    assert!(link.info.detail.contains("bare flash chip"), "{}", link.info.detail);
    let Wire::Nor(mut wire) = link.wire else { panic!("a bare chip is what serprog reaches") };
    let mut frame = [0x9F, 0, 0, 0];
    wire.exchange(&mut frame).unwrap();
    assert_eq!(frame[1..], [0xA5; 3]);
    drop(wire);
    server.join().unwrap();
}
