//! Against a small server of its own, which answers as ser2net does.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::JoinHandle;

use super::*;
use crate::link::contract::Wire;

/// Settings in their order: number and value.
type Settings = Vec<(u8, Vec<u8>)>;

/// Serves one connection: confirms settings, gives data back, and returns the settings it was given.
fn server(answers: fn(u8, &[u8]) -> Option<Vec<u8>>) -> (String, JoinHandle<Settings>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut peer, _) = listener.accept().unwrap();
        serve(&mut peer, answers)
    });
    (address, thread)
}

fn serve(peer: &mut TcpStream, answers: fn(u8, &[u8]) -> Option<Vec<u8>>) -> Settings {
    let (mut parser, mut made, mut buffer) = (Parser::default(), Vec::new(), [0; 1024]);
    // An option that the client does not know, as ser2net offers it.
    peer.write_all(&[IAC, WILL, 1, IAC, DO, 37]).unwrap();
    while let Ok(got @ 1..) = peer.read(&mut buffer) {
        let (mut data, mut heard) = (Vec::new(), Vec::new());
        parser.push(&buffer[..got], &mut data, &mut heard);
        let mut out = Vec::new();
        escape(&data, &mut out);
        for one in heard {
            match one {
                Heard::Option(WILL, COM_PORT) => match answers(0, &[]) {
                    Some(_) => out.extend([IAC, DO, COM_PORT]),
                    None => out.extend([IAC, DONT, COM_PORT]),
                },
                Heard::Option(..) => {}
                Heard::ComPort(setting, value) => {
                    let answer = answers(setting, &value);
                    out.extend(answer.map(|value| com_port(setting + CONFIRMED, &value)).unwrap_or_default());
                    made.push((setting, value));
                }
            }
        }
        peer.write_all(&out).unwrap();
    }
    made
}

fn spec(address: &str, tail: &str) -> LinkSpec {
    LinkSpec::parse(&format!("rfc2217:{address}{tail}")).unwrap()
}

fn all(_: u8, value: &[u8]) -> Option<Vec<u8>> {
    Some(value.to_vec())
}

#[test]
fn the_port_is_set_up_and_every_byte_passes() {
    let (address, server) = server(all);
    let link = open(&spec(&address, "")).unwrap();
    assert!(link.reset.is_none());
    let Wire::Serial(mut serial) = link.wire else { panic!("a serial wire") };
    let bytes: Vec<u8> = (0..=255).collect();
    serial.send(&bytes).unwrap();
    serial.set_baud(921_600).unwrap();
    assert_eq!(serial.baud(), 921_600);
    let mut back: Vec<u8> = Vec::new();
    while back.len() < bytes.len() {
        let mut piece = [0; 64];
        let got = serial.receive(&mut piece, Duration::from_secs(5)).unwrap();
        back.extend(&piece[..got]);
    }
    assert_eq!(back, bytes, "data that came while the rate was confirmed is kept");
    drop(serial);
    let made = server.join().unwrap();
    assert_eq!(made[0], (SET_BAUD, 115_200_u32.to_be_bytes().to_vec()));
    assert!(made.contains(&(SET_DATA_SIZE, vec![8])) && made.contains(&(PURGE, vec![BOTH])));
    assert_eq!(made.last(), Some(&(SET_BAUD, 921_600_u32.to_be_bytes().to_vec())));
}

#[test]
fn a_line_holds_the_chip_and_lets_it_go_at_the_end() {
    for (tail, (on, off)) in [("?reset=dtr", DTR), ("?reset=rts", RTS)] {
        let (address, server) = server(all);
        let mut link = open(&spec(&address, tail)).unwrap();
        link.reset.as_mut().unwrap().hold(true).unwrap();
        drop(link);
        let made = server.join().unwrap();
        let lines: Vec<u8> = made.iter().filter(|(setting, _)| *setting == SET_CONTROL).map(|made| made.1[0]).collect();
        assert_eq!(lines, [NO_FLOW_CONTROL, DTR.1, RTS.1, on, off], "opening holds nothing");
    }
}

#[test]
fn a_rate_that_the_server_does_not_take_is_named() {
    let (address, _server) = server(|setting, value| match setting {
        SET_BAUD => Some(115_200_u32.to_be_bytes().to_vec()),
        _ => Some(value.to_vec()),
    });
    let Wire::Serial(mut serial) = open(&spec(&address, "")).unwrap().wire else { panic!("a serial wire") };
    assert!(matches!(serial.set_baud(921_600), Err(LinkError::Unsupported { .. })));
    assert_eq!(serial.baud(), 115_200);
}

#[test]
fn a_server_without_settings_is_told_from_one_that_has_them() {
    let (address, _server) = server(|_, _| None);
    let Err(LinkError::Net(error)) = open(&spec(&address, "")) else { panic!("it has no settings") };
    assert_eq!(error.explain().code, "E231");
}
