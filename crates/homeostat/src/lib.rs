//! The doors of Homeostat.
