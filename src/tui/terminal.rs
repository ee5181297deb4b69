//! The terminal: taken, and always given back as it was found.

use std::io::{self, BufWriter, IsTerminal, Stdout, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crossterm::clipboard::CopyToClipboard;
use crossterm::cursor::{Hide, Show};
use crossterm::event::{DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{execute, style};
use ratatui::Terminal;
use ratatui::backend::{Backend, ClearType, CrosstermBackend};

use super::app::App;
use super::glyph;
use crate::problem::{Class, Problem};

/// Whether the workbench has the terminal. Also asked by the panic hook, which knows nothing else.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// A page of hex with its colours fits.
const BUFFER: usize = 32 * 1024;

/// The terminal while the workbench has it. Dropping it gives it back.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<Stdout>>>,
    mouse: bool,
    ascii: bool,
}

impl Screen {
    /// Takes the terminal.
    pub fn take(mouse: bool, ascii: bool) -> Result<Self, Problem> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Err(Problem::new(
                Class::Usage,
                "E132",
                "there is no terminal to draw on",
                "standard input or output is a file or a pipe",
                "start bkbench in a terminal, or use a command such as `bkbench info`; --help lists them",
            ));
        }
        // Without colour support the library writes a bare reset, which would also undo reverse video: the mono theme
        // asks for no colour at all instead.
        style::force_color_output(true);
        give_back_on_panic();
        enter(mouse).map_err(host)?;
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::with_capacity(BUFFER, io::stdout())));
        match terminal {
            Ok(terminal) => Ok(Self { terminal, mouse, ascii }),
            Err(error) => {
                give_back();
                Err(host(error))
            }
        }
    }

    /// Draws what changed.
    pub fn draw(&mut self, app: &App) -> io::Result<()> {
        let ascii = self.ascii;
        self.terminal.draw(|frame| {
            app.view(frame.area(), frame.buffer_mut());
            if ascii {
                glyph::to_ascii(frame.buffer_mut());
            }
        })?;
        Ok(())
    }

    /// Takes the terminal again and forgets what was on it.
    pub fn take_again(&mut self) -> io::Result<()> {
        enter(self.mouse)?;
        // The library's own clear asks the terminal for its cursor, and the answer would wait behind the thread that
        // reads keys.
        self.terminal.backend_mut().clear_region(ClearType::All)?;
        self.terminal.swap_buffers();
        Ok(())
    }

    /// Puts a text on the terminal's clipboard (OSC 52), which works over SSH too. Whether the terminal took it cannot be
    /// known.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        execute!(self.terminal.backend_mut(), CopyToClipboard::to_clipboard_from(text))
    }

    /// Columns and rows.
    pub fn size(&self) -> (u16, u16) {
        self.terminal.size().map_or((80, 24), |size| (size.width, size.height))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

fn host(error: io::Error) -> Problem {
    Problem::new(
        Class::Host,
        "E133",
        format!("the terminal cannot be used: {error}"),
        "it went away, or is no terminal",
        "start bkbench in another terminal",
    )
}

fn enter(mouse: bool) -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::SeqCst);
    let mut out = io::stdout();
    execute!(out, EnterAlternateScreen, EnableBracketedPaste, Hide)?;
    if mouse {
        execute!(out, EnableMouseCapture)?;
    }
    Ok(())
}

/// Gives the terminal back. A terminal that is gone cannot be told anything, so nothing here can fail.
///
/// Done once: leaving the alternate screen a second time would move the cursor back into what was written since.
pub(super) fn give_back() {
    if !TAKEN.swap(false, Ordering::SeqCst) {
        return;
    }
    let mut out = io::stdout();
    let _ = execute!(out, DisableMouseCapture, DisableBracketedPaste, LeaveAlternateScreen, Show);
    let _ = out.flush();
    let _ = disable_raw_mode();
}

/// A panic of the screen's thread gives the terminal back before it is reported. Panics of other threads are caught
/// and reported as problems; their text must not run over the screen.
fn give_back_on_panic() {
    let screen_thread = thread::current().id();
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() == screen_thread {
            give_back();
            before(info);
        }
    }));
}
