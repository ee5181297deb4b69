//! The download protocols as a host meets them on the line.
