import MallocCounter
import Testing

/// The counter counts: without this, a test that finds no allocation would prove nothing.
@Suite(.enabled(if: mc_is_counting(), "another allocator is in the way"))
struct MallocCounterTests {
    @Test func `A block is counted once, taken and given back`() {
        let (mallocs, frees) = (mc_mallocs(), mc_frees())
        let block = UnsafeMutableRawPointer.allocate(byteCount: 1000, alignment: 16)
        block.storeBytes(of: 1, as: UInt8.self)
        #expect(mc_mallocs() - mallocs == 1)
        let before = mc_frees()
        block.deallocate()
        #expect(mc_frees() - before == 1)
        #expect(mc_frees() > frees)
    }

    @Test func `Aligned blocks and arrays are counted`() {
        var before = mc_mallocs()
        let page = UnsafeMutableRawPointer.allocate(byteCount: 8192, alignment: 4096)
        let aligned = mc_mallocs() - before
        page.deallocate()
        before = mc_mallocs()
        var array = [UInt64](repeating: 1, count: 100)
        array.append(2)
        let grown = mc_mallocs() - before
        #expect(aligned == 1)
        #expect(grown >= 1 && array.count == 101)
    }

    @Test func `Arithmetic is free`() {
        var (sum, value) = (0 as UInt64, 0 as UInt64)
        let before = mc_mallocs()
        // Not `for`: over a range it allocates in each turn of a debug build.
        while value < 1000 {
            sum &+= value &* value
            value += 1
        }
        let taken = mc_mallocs() - before
        #expect(taken == 0)
        #expect(sum == 332_833_500)
    }
}
