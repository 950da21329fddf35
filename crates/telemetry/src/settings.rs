//! A service's settings: flags before environment variables before a TOML file before defaults.
//!
//! Owns `--config FILE`, which is the same for every service: a table whose keys are the names of
//! the flags (`data-dir = "/var/lib/ringkv"`). What a setting means and which values it takes is
//! the service's; a value from the file goes through the same checks as one from a flag.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{Arg, Command, Parser, value_parser};
use toml::{Table, Value};

const CONFIG: &str = "config";

/// The settings of this process; ends it with a message if they are invalid.
pub fn parse<A: Parser>() -> A {
    from::<A>(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

fn from<A: Parser>(args: impl IntoIterator<Item = OsString>) -> Result<A, clap::Error> {
    let args: Vec<OsString> = args.into_iter().collect();
    let mut command = with_config(A::command());
    if let Some(path) = config_path::<A>(&args) {
        command = with_file(command, &path)?;
    }
    A::from_arg_matches(&command.try_get_matches_from(args)?)
}

fn with_config(command: Command) -> Command {
    command.arg(
        Arg::new(CONFIG)
            .long(CONFIG)
            .env("RINGKV_CONFIG")
            .value_name("FILE")
            .value_parser(value_parser!(PathBuf))
            .help("TOML file of settings, named like the flags; flags and variables win over it"),
    )
}

/// The file named by flag or variable, even if other arguments are invalid.
fn config_path<A: Parser>(args: &[OsString]) -> Option<PathBuf> {
    let matches = with_config(A::command()).ignore_errors(true).try_get_matches_from(args);
    matches.ok()?.get_one(CONFIG).cloned()
}

/// Puts the values of the file in the place of the defaults.
fn with_file(mut command: Command, path: &Path) -> Result<Command, clap::Error> {
    let refuse = |command: &mut Command, problem: String| {
        let message = format!("--config {}: {problem}", path.display());
        command.error(ErrorKind::ValueValidation, message)
    };
    let text = fs::read_to_string(path);
    let text = text.map_err(|error| refuse(&mut command, format!("cannot be read: {error}")))?;
    let table = text.parse::<Table>();
    let table = table.map_err(|error| refuse(&mut command, error.to_string()))?;
    for (name, value) in table {
        let arg = command.get_arguments().find(|arg| arg.get_long() == Some(&name));
        let Some(id) = arg.map(|arg| arg.get_id().clone()).filter(|id| id != CONFIG) else {
            let problem = format!("`{name}` is not a setting; --help names them all");
            return Err(refuse(&mut command, problem));
        };
        let Some(values) = in_words(value) else {
            let problem = format!("`{name}` is neither a string, a number, a boolean nor a list");
            return Err(refuse(&mut command, problem));
        };
        command = command.mut_arg(id, |arg| arg.required(false).default_values(values));
    }
    Ok(command)
}

/// A value as a flag would be given it; a list becomes one value each.
fn in_words(value: Value) -> Option<Vec<String>> {
    match value {
        Value::String(text) => Some(vec![text]),
        Value::Integer(number) => Some(vec![number.to_string()]),
        Value::Float(number) => Some(vec![number.to_string()]),
        Value::Boolean(truth) => Some(vec![truth.to_string()]),
        Value::Array(values) => {
            let words: Option<Vec<Vec<String>>> = values.into_iter().map(in_words).collect();
            words.map(|words| words.concat())
        }
        Value::Datetime(_) | Value::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tempfile::NamedTempFile;

    use super::*;

    #[derive(Debug, PartialEq, Eq, Parser)]
    struct Args {
        #[arg(long, default_value_t = 7)]
        count: u32,
        #[arg(long, required = true)]
        data_dir: PathBuf,
        #[arg(long, value_delimiter = ',')]
        peers: Vec<String>,
        #[arg(long)]
        quiet: bool,
    }

    fn file(text: &str) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        file
    }

    fn parsed(text: &str, flags: &[&str]) -> Result<Args, String> {
        let file = file(text);
        let config = file.path().to_str().unwrap();
        let args = ["service", "--config", config].into_iter().chain(flags.iter().copied());
        from(args.map(OsString::from)).map_err(|error: clap::Error| error.to_string())
    }

    #[test]
    fn a_file_stands_between_flags_and_defaults() {
        let text = "count = 3\ndata-dir = \"/d\"\npeers = [\"a:1\", \"b:2\"]\nquiet = true\n";
        let peers = vec!["a:1".to_owned(), "b:2".to_owned()];
        let in_file = Args { count: 3, data_dir: "/d".into(), peers, quiet: true };
        assert_eq!(parsed(text, &[]), Ok(in_file));
        let flags = ["--count", "4", "--peers", "c:3,d:4"];
        let peers = vec!["c:3".to_owned(), "d:4".to_owned()];
        let by_flags = Args { count: 4, data_dir: "/d".into(), peers, quiet: true };
        assert_eq!(parsed(text, &flags), Ok(by_flags));
        let peers = vec!["a:1".to_owned(), "b:2".to_owned()];
        let joined = Args { count: 7, data_dir: "/d".into(), peers, quiet: false };
        assert_eq!(parsed("data-dir = \"/d\"\npeers = \"a:1,b:2\"\n", &[]), Ok(joined));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said() {
        let cases = [
            ("cuont = 3\n", "`cuont` is not a setting"),
            ("config = \"other\"\n", "`config` is not a setting"),
            ("[count]\na = 1\n", "`count` is neither"),
            ("count = \n", "TOML parse error"),
            ("count = -3\ndata-dir = \"/d\"\n", "'--count <COUNT>'"),
        ];
        for (text, said) in cases {
            let error = parsed(text, &[]).unwrap_err();
            assert!(error.contains(said), "{text:?}: {error}");
        }
        let args = ["service", "--config", "/nowhere.toml"].map(OsString::from);
        let error = from::<Args>(args).unwrap_err().to_string();
        assert!(error.contains("--config /nowhere.toml: cannot be read"), "{error}");
    }

    #[test]
    fn without_a_file_a_missing_setting_is_named() {
        let error = from::<Args>([OsString::from("service")]).unwrap_err().to_string();
        assert!(error.contains("--data-dir"), "{error}");
    }
}
