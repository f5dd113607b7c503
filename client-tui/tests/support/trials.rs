//! A program of tests that need tools which a machine may not have. Where one is missing they are reported as ignored, with the reason:
//! libtest has no word for that once it runs.

use std::process::ExitCode;

use libtest_mimic::{Arguments, Completion, Trial};

/// Runs all of them, unless something is `missing`.
pub fn run(missing: Option<&'static str>, tests: Vec<(&'static str, fn())>) -> ExitCode {
    let trials = tests.into_iter().map(|(name, test)| {
        Trial::ignorable_test(name, move || {
            if let Some(missing) = missing {
                return Ok(Completion::ignored_with(format!("there is no {missing} here")));
            }
            test();
            Ok(Completion::Completed)
        })
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

/// Names and functions. One that is forgotten is dead code, which the compiler tells.
#[macro_export]
macro_rules! trials {
    ($($test:ident),* $(,)?) => { vec![$((stringify!($test), $test as fn())),*] };
}
