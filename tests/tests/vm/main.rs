//! On virtual machines: what only a kernel of its own shows.

mod selinux;
