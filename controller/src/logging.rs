//! Log lines on stderr. Only our own crates speak: what libraries log can quote objects, and so secrets.

use std::io::IsTerminal;
use std::panic;

use tracing::{Level, error};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Config, LogFormat, LogLevel};

const OURS: [&str; 7] = [
    "controller",
    "signet_controller",
    "source",
    "render",
    "apply",
    "manifest",
    "sealing",
];

/// Starts logging, and makes panics say where, but not what: their text can quote anything.
pub fn start(config: &Config) {
    let level = match config.log_level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
    };
    let filter = Targets::new().with_targets(OURS.map(|target| (target, level)));
    let colour =
        std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let layer = fmt::layer().with_writer(std::io::stderr);
    let layer = match config.log_format {
        LogFormat::Text => layer.with_ansi(colour).with_target(false).boxed(),
        LogFormat::Json => layer.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(layer.with_filter(filter))
        .init();

    panic::set_hook(Box::new(|info| {
        let location = info.location();
        error!(
            file = location.map_or("", panic::Location::file),
            line = location.map_or(0, panic::Location::line),
            "a programming error stopped a task; its text is withheld because it can quote outside data"
        );
    }));
}
