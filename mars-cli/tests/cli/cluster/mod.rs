//! Searches on clusters: how far they are, scripts and jobs, indices of arrays.
#![cfg(unix)]

mod calibrate;
mod k8s;
mod kit;
mod slurm;
mod status;
