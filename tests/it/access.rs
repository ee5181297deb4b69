//! Chips that no line brings into SPI mode: bare ones, a hand at CEN, a CEN wire that leads nowhere. And who lets CEN go.

use std::cell::RefCell;
use std::fs;
use std::rc::Rc;
use std::sync::mpsc::channel;
use std::time::Duration;

use bkbench::job::{ConnectSpec, JobSpec, Usual};
use bkbench::link::sim::{Module, Setup};
use bkbench::link::{Clock, LinkError, ResetLine};
use bkbench::session::{Actor, Command, Flow, JobId, What};

use crate::support::{bkbench, code, document, folder, sample, succeed};

const DUMP: &str = "dumps/ds-101jl-4gang-switch-t.bin";
const IMAGE: &str = "firmware/OpenBK7231T_QIO_1.18.300.bin";

#[test]
fn a_bare_chip_is_backed_up_opened_written_and_verified_and_stays_likely() {
    let (Some(dump), Some(image)) = (sample(DUMP), sample(IMAGE)) else { return };
    let folder = folder();
    let at = folder.path();
    let link = format!("sim:wb2s?image={}&chip=chip.bin&wire=spi&cen=none", dump.display());
    let run = |args: &[&str]| succeed(&bkbench(at, &[&["--link", &link], args, &["--json"]].concat()));

    let info = run(&["info"]);
    assert_eq!((info["verdict"].as_str(), info["tie"].as_str()), (Some("likely"), Some("bare")));
    let evidence = info["evidence"].to_string();
    assert!(evidence.contains("not more than likely: a bare flash chip"), "{evidence}");
    assert_eq!(run(&["read", "-o", "b.bin"])["proven"], true);
    assert_eq!(
        run(&["protect", "off"])["after"]["range"]["state"],
        run(&["protect", "status"])["protection"]["range"]["state"]
    );
    let image = image.display().to_string();
    let written = run(&["write", &image, "--yes"]);
    assert_eq!((&written["report"]["verified"], &written["report"]["kept_proven"]), (&true.into(), &true.into()));
    assert_eq!(run(&["verify", &image])["verified"], true);
}

#[test]
fn where_cen_has_no_effect_nothing_is_written_and_no_backup_is_made_first() {
    let folder = folder();
    let at = folder.path();
    let link = "sim:wb2s?chip=chip.bin&bare=yes";
    let info = succeed(&bkbench(at, &["--link", link, "info", "--json"]));
    assert_eq!((info["verdict"].as_str(), info["tie"].as_str()), (Some("unsure"), Some("loose")));
    assert!(info["evidence"].to_string().contains("CEN has no effect on the chip"), "{}", info["evidence"]);
    let before = fs::read(at.join("chip.bin")).expect("the chip");

    fs::write(at.join("data.bin"), [0x5A; 4096]).expect("a file");
    for (args, expected) in [
        (&["write", "data.bin", "--at", "0x1F0000", "--yes"][..], "E337"),
        (&["erase", "--start", "0x1F0000", "--length", "4K", "--yes"][..], "E337"),
        (&["protect", "off"][..], "E335"),
    ] {
        let output = bkbench(at, &[&["--link", link], args, &["--json"]].concat());
        assert_eq!(code(&output), 4, "{}", String::from_utf8_lossy(&output.stderr));
        let error = document(&output)["error"].clone();
        assert_eq!(error["code"], expected, "{error}");
        assert!(error["what"].as_str().expect("what").contains("CEN has no effect"), "{error}");
    }
    assert!(fs::read(at.join("chip.bin")).expect("the chip") == before, "the chip was changed");
    assert!(!at.join("data/backups").exists(), "no minutes of reading for a write that is refused");
}

#[test]
fn a_person_at_cen_is_told_when_to_let_go() {
    let folder = folder();
    let output = bkbench(folder.path(), &["--link", "sim:wb2s?cen=hand", "info", "--json"]);
    let info = succeed(&output);
    assert_eq!((info["verdict"].as_str(), info["tie"].as_str()), (Some("likely"), Some("by-hand")));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    for line in ["hold CEN to GND with a wire", "let go in 3 …", "let go in 2 …", "let go in 1 …", "leave CEN alone"]
    {
        assert!(told.contains(line), "{line:?} is not in {told}");
    }
}

#[test]
fn a_simulated_bare_chip_comes_from_any_module_and_has_no_uart() {
    let folder = folder();
    let at = folder.path();
    let info = succeed(&bkbench(at, &["--link", "sim:cb2s?cen=none", "info", "--json"]));
    assert_eq!((info["wire"].as_str(), info["chip"].as_str()), (Some("spi"), Some("BK7231N")));
    let refused = bkbench(at, &["--link", "sim:wb2s?wire=uart&cen=none", "info", "--json"]);
    assert_eq!((code(&refused), &document(&refused)["error"]["code"]), (2, &"E201".into()));
}

/// What happens to a line.
#[derive(Default)]
struct Watched {
    held: bool,
    dropped: bool,
}

struct Line(Rc<RefCell<Watched>>);

impl ResetLine for Line {
    fn hold(&mut self, reset: bool) -> Result<(), LinkError> {
        self.0.borrow_mut().held = reset;
        Ok(())
    }
    fn describe(&self) -> String {
        "watched line → CEN".to_owned()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.0.borrow_mut().dropped = true;
    }
}

/// Time that does something while CEN is low.
struct Trap {
    line: Rc<RefCell<Watched>>,
    inner: Rc<dyn Clock>,
    act: Box<dyn Fn()>,
}

impl Clock for Trap {
    fn now(&self) -> Duration {
        self.inner.now()
    }
    fn sleep(&self, time: Duration) {
        if self.line.borrow().held {
            (self.act)();
        }
        self.inner.sleep(time);
    }
}

const USUAL: Usual =
    Usual { spi_clock: Some(8_000_000), spi_entry_clock: 1_000_000, uart_baud: Some(921_600), cen: 22 };

/// Connects over a line that is watched; `act` runs while CEN is low, and may send commands to the session.
fn connect(act: impl Fn(&std::sync::mpsc::Sender<Command>) + Clone + 'static) -> (bool, Vec<What>, Flow) {
    let line = Rc::new(RefCell::new(Watched::default()));
    let (commands, inbox) = channel();
    let events = Rc::new(RefCell::new(Vec::new()));
    let (seen, watched) = (Rc::clone(&events), Rc::clone(&line));
    let opener = Box::new(move |_: &_| {
        let mut link = Module::new(Setup::new("wb2s")?)?.link();
        let (commands, act) = (commands.clone(), act.clone());
        link.reset = Some(Box::new(Line(Rc::clone(&watched))));
        link.clock =
            Rc::new(Trap { line: Rc::clone(&watched), inner: link.clock, act: Box::new(move || act(&commands)) });
        Ok(link)
    });
    let mut actor = Actor::with_opener(inbox, Box::new(move |event| seen.borrow_mut().push(event.what)), opener);
    let spec = ConnectSpec::new("sim:wb2s", None, &USUAL).expect("a link");
    let flow = actor.handle(Command::Start(JobId(1), Box::new(JobSpec::Connect(spec))));
    // Asked while the session still lives.
    let dropped = line.borrow().dropped;
    drop(actor);
    (dropped, events.take(), flow)
}

#[test]
fn a_panic_with_cen_low_lets_the_line_go() {
    let (let_go, events, flow) = connect(|_| panic!("a fault of the program"));
    assert!(events.iter().any(|what| matches!(what, What::Crashed(problem) if problem.code == "E602")));
    assert_eq!(flow, Flow::Continue);
    assert!(let_go, "the line, and with it CEN, was let go");
}

#[test]
fn a_cancel_with_cen_low_lets_the_line_go() {
    let (let_go, events, _) = connect(|commands| drop(commands.send(Command::Cancel(JobId(1)))));
    let cancelled = |what: &What| matches!(what, What::Finished { result: Err(problem), .. } if problem.code == "E501");
    assert!(events.iter().any(cancelled));
    assert!(let_go);
}

#[test]
fn the_end_of_the_program_with_cen_low_lets_the_line_go() {
    let (let_go, _, flow) = connect(|commands| drop(commands.send(Command::Shutdown)));
    assert_eq!(flow, Flow::Stop);
    assert!(let_go);
}
