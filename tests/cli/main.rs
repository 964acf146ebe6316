//! The program as people and scripts meet it: every command's good and bad ways, with exit codes and messages.

mod cluster;
mod config;
mod control;
mod decode;
mod files;
mod init;
mod join;
mod machine;
mod usage;
