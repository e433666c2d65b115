//! mars-search
