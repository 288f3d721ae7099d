//! The model checked, with and without its guards, and held to the engine.

#![cfg(test)]

mod checked;
mod crash;
mod dice;
mod engine;
mod lanes;
mod planted;
mod replay;
mod systems;
mod walk;
