//! The decision core of Homeostat.
