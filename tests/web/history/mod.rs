//! Histories: many clients of two processes, with faults, and then a judgement.

mod checker;
mod operation;
