// swift-tools-version: 6.2
import PackageDescription

/// Every library of the package: Swift 6 mode, no warnings, and each unsafe operation visible.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]
/// Tests may handle raw bytes without saying so at each place.
let tested: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
]

/// What is tested is optimised, for worlds of hours are lived through in seconds; the tests themselves, of
/// which there is as much code, need not be, and take a third of the time to build.
let tests: [SwiftSetting] = tested + [.unsafeFlags(["-Onone"], .when(configuration: .release))]

/// Simulated worlds are objects that one thread goes through: a fifth of their time would go into looks
/// whether two of its calls change the same one. Builds for debugging look.
let simulated: [SwiftSetting] =
    strict + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]

/// `make fuzz` alone: the fuzzer needs a linker and a sanitizer that nothing else does.
let fuzzers: [Target] =
    Context.environment["FUZZ"] == nil
    ? []
    : [
        .target(name: "CFuzzer"),
        .executableTarget(name: "Fuzz", dependencies: ["FuzzTargets", "CFuzzer"], swiftSettings: strict),
    ]

let package = Package(
    name: "causeway",
    products: [
        .executable(name: "causewayd", targets: ["causewayd"]),
        .executable(name: "causeway", targets: ["causeway"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .target(name: "CausewayCore", exclude: ["README.md"], swiftSettings: strict),
        .target(name: "CLinux"),
        .systemLibrary(
            name: "CNetlink", pkgConfig: "libnl-genl-3.0", providers: [.apt(["libnl-genl-3-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "LinuxSystem", dependencies: ["CausewayCore", "CLinux"], swiftSettings: strict),
        .target(name: "NBDDevice", dependencies: ["CLinux", "CNetlink"], swiftSettings: strict),
        .target(name: "CausewayControl", dependencies: ["CLinux"], swiftSettings: strict),
        .target(
            name: "CausewayConfiguration", dependencies: ["CausewayCore", "CausewayControl", "LinuxSystem"],
            exclude: ["README.md"], swiftSettings: strict),
        .target(
            name: "CausewayDaemon",
            dependencies: [
                "CausewayCore", "LinuxSystem", "NBDDevice", "CausewayControl", "CausewayConfiguration",
                "CCrypto",
                .product(name: "Logging", package: "swift-log"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "causewayd",
            dependencies: [
                "CausewayDaemon", "CausewayConfiguration",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "causeway",
            dependencies: [
                "CausewayControl", "CausewayConfiguration", "NBDDevice",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .target(
            name: "FuzzTargets",
            dependencies: ["CausewayCore", "CausewayControl", "CausewayConfiguration"],
            swiftSettings: strict),
        .testTarget(
            name: "FuzzTests", dependencies: ["FuzzTargets"], path: "Tests/Fuzz", exclude: ["corpus", "run"],
            swiftSettings: tests),
        .target(name: "Simulation", dependencies: ["CausewayCore"], swiftSettings: simulated),
        .executableTarget(
            name: "Simulator", dependencies: ["CausewayCore", "Simulation"], swiftSettings: strict),
        .executableTarget(
            name: "Bench",
            dependencies: [
                "causeway", "causewayd",  // run, not called: so that `swift run Bench` measures fresh ones
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            exclude: ["README.md"], swiftSettings: tested),
        .testTarget(
            name: "CausewayCoreTests", dependencies: ["CausewayCore", "Simulation", "MallocCounter"],
            path: "Tests/CausewayCore",
            swiftSettings: tests),
        .testTarget(
            name: "LinuxSystemTests", dependencies: ["LinuxSystem", "CLinux"], path: "Tests/LinuxSystem",
            swiftSettings: tests),
        .testTarget(
            name: "NBDDeviceTests", dependencies: ["NBDDevice", "CLinux"], path: "Tests/NBDDevice",
            swiftSettings: tests),
        .testTarget(
            name: "CausewayControlTests", dependencies: ["CausewayControl"], path: "Tests/CausewayControl",
            swiftSettings: tests),
        .testTarget(
            name: "CausewayConfigurationTests", dependencies: ["CausewayConfiguration"],
            path: "Tests/CausewayConfiguration", swiftSettings: tests),
        .testTarget(
            name: "CausewayDaemonTests", dependencies: ["CausewayDaemon", "CCrypto"],
            path: "Tests/CausewayDaemon",
            swiftSettings: tests),
        .testTarget(
            name: "SimulationTests", dependencies: ["Simulation"], path: "Tests/Simulation",
            swiftSettings: tests),
        .target(name: "MallocCounter", path: "Tests/MallocCounter"),
        .testTarget(
            name: "TidyTests", dependencies: ["MallocCounter"], path: "Tests/Tidy",
            exclude: ["hot-path-gate.sh", "hot-functions.txt"], swiftSettings: tests),
        .testTarget(name: "BenchTests", dependencies: ["Bench"], path: "Tests/Bench", swiftSettings: tests),
    ] + fuzzers
)
