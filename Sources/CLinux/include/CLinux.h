#pragma once
/// What Linux offers and Swift's Glibc module does not show; one header a topic, included here.
