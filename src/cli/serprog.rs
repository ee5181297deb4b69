//! `sim serprog`: the flash of an embedded module for flashrom and other serprog clients, until it is stopped.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use serde_json::json;

use super::out::Out;
use crate::link::sim::{Module, Serprog, Setup};
use crate::link::{LinkSpec, Lock};
use crate::outlive::Signals;
use crate::problem::{Class, Explain, Problem};

/// How often a server without a client looks for one, and for a signal.
const LOOK: Duration = Duration::from_millis(20);
/// The longest wait for a client's next byte; a signal is seen after this time.
const PATIENCE: Duration = Duration::from_millis(100);
/// A client that takes no answer for this long is gone.
const STALLED: Duration = Duration::from_secs(10);

/// Serves the flash at a port of this computer, which is named on stdout, until SIGINT or SIGTERM. One client at a time.
///
/// # Errors
/// The link's problem with module, part, image or chip file; E753 when the port cannot be had, E754 when serving fails.
pub(super) fn serprog(out: Out, spec: &LinkSpec, port: u16) -> Result<(), Problem> {
    let signals = Signals::register().map_err(|error| failed(&error))?;
    let _lock = Lock::take(spec, "sim serprog").map_err(|error| error.explain())?;
    let setup = Setup::from_spec(spec).map_err(|error| error.explain())?.bare(true);
    let module = Module::quiet(setup).map_err(|error| error.explain())?;
    // Nobody else shall reach it over the network: the protocol knows no password.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(|error| no_port(port, &error))?;
    let address = listener.local_addr().map_err(|error| failed(&error))?;
    listener.set_nonblocking(true).map_err(|error| failed(&error))?;
    let detail = module.link().info.detail;
    let link = format!("serprog:{address}");
    out.result(json!({"link": link, "address": address.to_string(), "flash": detail}), || link.clone());
    out.say_aside(format!("{detail}; for example: flashrom -p serprog:ip={address}; Ctrl-C ends it"));
    let mut server = Serprog::new(&module);
    while !ended(&signals) {
        match listener.accept() {
            Ok((client, _)) => {
                server.connected();
                serve(&mut server, client, &signals)?;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(LOOK),
            // A client that gave up before it was let in.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::Interrupted) => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(())
}

fn ended(signals: &Signals) -> bool {
    signals.stop() || signals.hung_up()
}

/// Serves one client until it leaves.
fn serve(server: &mut Serprog, mut client: TcpStream, signals: &Signals) -> Result<(), Problem> {
    let ready = client
        .set_nonblocking(false)
        .and_then(|()| client.set_nodelay(true))
        .and_then(|()| client.set_read_timeout(Some(PATIENCE)))
        .and_then(|()| client.set_write_timeout(Some(STALLED)));
    ready.map_err(|error| failed(&error))?;
    let (mut buffer, mut answers) = (vec![0; 64 * 1024], Vec::new());
    while !ended(signals) {
        let got = match client.read(&mut buffer) {
            Ok(0) => break,
            Ok(got) => got,
            Err(error)
                if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted) =>
            {
                continue;
            }
            // The client is gone; the next one may come.
            Err(_) => break,
        };
        server.take(buffer.get(..got).unwrap_or_default(), &mut answers).map_err(|error| error.explain())?;
        if client.write_all(&answers).is_err() {
            break;
        }
        answers.clear();
    }
    Ok(())
}

fn no_port(port: u16, error: &std::io::Error) -> Problem {
    Problem::new(
        Class::Host,
        "E753",
        format!("port {port} of 127.0.0.1 cannot be had: {error}"),
        "another program listens there, or ports below 1024 are not yours",
        "choose another port, or --port 0 for any free one",
    )
}

fn failed(error: &std::io::Error) -> Problem {
    Problem::new(
        Class::Host,
        "E754",
        format!("the flash cannot be served: {error}"),
        "the system refused a socket or a signal handler",
        "close other programs and try again",
    )
}
