//! Journeys through the real program against real servers.
//!
//! Nothing is mocked in the process: the program is started as a user would start it, with a home folder of its own, and
//! what it prints, writes, mails and stores is what is looked at. `tests/servers/README.md` says what the servers are.

mod audit;
mod bad_input;
mod canary;
mod denied;
mod faults;
mod kill;
mod letters;
mod matrix;
mod ministack;
mod program;
mod scan;
mod serve;
mod servers;
mod values;
mod weekly;
mod world;
