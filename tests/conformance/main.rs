//! `dddns conformance`: passes the program itself, and names what each of many faulty peers does wrong.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a helper of tests stops where the unexpected is")]

mod fault;
mod faulty;
mod imperfect;
mod program;
mod python;
mod run;
mod trial;
