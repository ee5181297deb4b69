//! `tcp:` and `rfc2217:` through a real ser2net, with a served module behind it.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::serial::{interrupted_jobs, main_job};
use crate::support::served::SimUart;
use crate::support::{bkbench, cases, document, folder};

/// A running ser2net; ends with the value.
pub struct Ser2net {
    child: Child,
    /// Port of the raw bytes.
    pub raw: u16,
    /// Port with RFC 2217.
    pub settings: u16,
}

impl Ser2net {
    /// Serves a terminal; `None`, said loudly, where ser2net is not installed.
    pub fn start(folder: &Path, device: &str) -> Option<Self> {
        Self::start_at(folder, device, free_port(), free_port())
    }

    /// As [`Ser2net::start`], at these ports.
    pub fn start_at(folder: &Path, device: &str, raw: u16, settings: u16) -> Option<Self> {
        let program = ["/usr/sbin/ser2net", "/usr/bin/ser2net", "/usr/local/sbin/ser2net"];
        let Some(program) = program.into_iter().find(|path| Path::new(path).is_file()) else {
            eprintln!("SKIPPED: ser2net is not installed (Debian package ser2net)");
            return None;
        };
        let connection = |name: &str, accepter: &str, port: u16| {
            format!(
                "connection: &{name}\n  accepter: {accepter},127.0.0.1,{port}\n  \
                 connector: serialdev(nouucplock=true),{device},115200n81,local\n  options:\n    kickolduser: true\n"
            )
        };
        let text = connection("raw", "tcp", raw) + &connection("settings", "telnet(rfc2217),tcp", settings);
        fs::write(folder.join("ser2net.yaml"), text).expect("a file");
        let child = Command::new(program)
            .args(["-n", "-c", "ser2net.yaml"])
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ser2net runs");
        let until = Instant::now() + Duration::from_secs(20);
        while !(listening(raw) && listening(settings)) {
            assert!(Instant::now() < until, "ser2net does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(Self { child, raw, settings })
    }
}

impl Drop for Ser2net {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// Looked up, not called: a call would have the port opened.
fn listening(port: u16) -> bool {
    let table = fs::read_to_string("/proc/net/tcp").expect("the connections");
    table.contains(&format!("0100007F:{port:04X} 00000000:0000 0A"))
}

#[test]
fn the_main_job_runs_over_rfc_2217() {
    for (module, chip) in [("wb2s", "BK7231T"), ("cb3s", "BK7231N")] {
        let folder = folder();
        let options = ["--module", module, "--chip", "chip.bin", "--pace", "virtual"];
        let served = SimUart::start(folder.path(), &options);
        let Some(ser2net) = Ser2net::start(folder.path(), &served.port) else { return };
        main_job(folder.path(), &format!("rfc2217:127.0.0.1:{}", ser2net.settings), chip);
    }
}

#[test]
fn the_main_job_runs_over_raw_tcp() {
    for (module, chip) in [("wb2s", "BK7231T"), ("cb3s", "BK7231N")] {
        let folder = folder();
        let options = ["--module", module, "--chip", "chip.bin", "--pace", "virtual"];
        let served = SimUart::start(folder.path(), &options);
        let Some(ser2net) = Ser2net::start(folder.path(), &served.port) else { return };
        main_job(folder.path(), &format!("tcp:127.0.0.1:{}", ser2net.raw), chip);
    }
}

#[test]
fn a_raw_port_is_told_from_one_with_settings() {
    let folder = folder();
    let served = SimUart::start(folder.path(), &["--pace", "virtual"]);
    let Some(ser2net) = Ser2net::start(folder.path(), &served.port) else { return };
    let link = format!("rfc2217:127.0.0.1:{}", ser2net.raw);
    let output = bkbench(folder.path(), &["--link", &link, "info", "--json"]);
    assert_eq!(document(&output)["error"]["code"], "E231");
}

#[test]
fn a_serial_server_that_is_started_again_lets_a_backup_and_a_write_go_on() {
    let all = [("rfc2217", "wb2s"), ("tcp", "cb3s"), ("rfc2217", "cb3s"), ("tcp", "wb2s")];
    for (scheme, module) in all.into_iter().take(cases(2, 4) as usize) {
        let folder = folder();
        let options = ["--module", module, "--chip", "chip.bin", "--pace", "virtual"];
        let served = SimUart::start(folder.path(), &options);
        let (raw, settings) = (free_port(), free_port());
        if Ser2net::start_at(folder.path(), &served.port, raw, settings).is_none() {
            return;
        }
        let port = if scheme == "tcp" { raw } else { settings };
        let (at, device) = (folder.path().to_owned(), served.port.clone());
        let serve = move || Ser2net::start_at(&at, &device, raw, settings).expect("it was there before");
        interrupted_jobs(folder.path(), &format!("{scheme}:127.0.0.1:{port}"), serve);
    }
}
