//! `homeostat schema`: what an editor needs to complete and check our files.

use std::io::Write;

use clap::ValueEnum;
use homeostat_config::schema;

use super::client::Trouble;
use super::{Exit, write_json};

/// Print the JSON Schema of a configuration, or of policy tests
///
/// Draft 2020-12. What an editor does not see, `homeostat check` does: names that must exist, limits,
/// and what keys mean together.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  homeostat schema > homeostat.schema.json
  homeostat schema test > homeostat.test.schema.json

The first line of a file, for editors with the language server of YAML:
  # yaml-language-server: $schema=homeostat.schema.json")]
pub(super) struct Args {
    /// Of what
    #[arg(value_enum, default_value_t)]
    of: Of,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Of {
    /// A configuration
    #[default]
    Config,
    /// A file of policy tests
    Test,
}

/// Prints it.
pub(super) fn run(args: &Args, out: &mut dyn Write) -> Result<Exit, Trouble> {
    let schema = match args.of {
        Of::Config => schema::configuration(),
        Of::Test => schema::policy_tests(),
    };
    write_json(out, &schema)?;
    Ok(Exit::Fine)
}
